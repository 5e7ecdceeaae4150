"""Copies of objects on a node: bounded, shared by processes, verified, and whole after a crash."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.storage.cache import Cache, OtherContent
from components.shared.storage.cache_settings import (
    BYTES_VARIABLE,
    FOLDER_VARIABLE,
    cache_bytes,
    cache_folder,
)
from tests.disks import small_disk

KILOBYTE = 1000


def content(name: str) -> bytes:
    return (name * KILOBYTE)[:KILOBYTE].encode()


class Source:
    """Objects elsewhere, of a kilobyte each; it knows which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pieces(self, name: str) -> Callable[[], Iterator[bytes]]:
        def get() -> Iterator[bytes]:
            self.asked.append(name)
            yield content(name)[:600]
            yield content(name)[600:]

        return get

    def read(self, cache: Cache, name: str) -> bytes:
        with self.open(cache, name) as path:
            return path.read_bytes()

    def open(self, cache: Cache, name: str):
        return cache.entry(sha256_bytes(content(name)), KILOBYTE, self.pieces(name))


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def cache_of(folder: Path, objects: float) -> Cache:
    return Cache(folder, lambda _: int(objects * KILOBYTE))


def kept(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_object_is_got_once(folder, source):
    cache = cache_of(folder, 2)

    for _ in range(3):
        assert source.read(cache, "a") == content("a")

    assert source.asked == ["a"]


def test_what_was_not_used_for_longest_makes_room(folder, source):
    cache = cache_of(folder, 3)
    for name in ("a", "b", "c", "a", "d", "a", "c", "b"):
        assert source.read(cache, name) == content(name)
        assert kept(folder) <= 3 * KILOBYTE

    assert source.asked == ["a", "b", "c", "d", "b"]


def test_what_is_in_use_stays_though_the_bound_is_passed(folder, source):
    cache = cache_of(folder, 2)
    with ExitStack() as uses:
        paths = {name: uses.enter_context(source.open(cache, name)) for name in "abcd"}
        assert [path.read_bytes() for path in paths.values()] == [content(name) for name in "abcd"]
    source.read(cache, "e")

    assert kept(folder) <= 2 * KILOBYTE


def test_object_larger_than_the_bound_is_served_alone(folder, source):
    cache = cache_of(folder, 0.5)

    assert source.read(cache, "a") == content("a")
    assert source.read(cache, "b") == content("b")
    assert kept(folder) == KILOBYTE


def test_files_of_others_are_left_alone(folder, source):
    folder.mkdir()
    for name in ("data.parquet", "notes", "0123.lock"):
        (folder / name).write_bytes(bytes(3 * KILOBYTE))
    cache = cache_of(folder, 1)
    for name in "abc":
        source.read(cache, name)

    assert {"data.parquet", "notes", "0123.lock"} <= {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("got", [b"", content("b"), content("a") + b"x", content("a")[:-1]])
def test_other_content_is_refused_and_not_kept(folder, source, got):
    cache = cache_of(folder, 2)
    with (
        pytest.raises(OtherContent),
        cache.entry(sha256_bytes(content("a")), KILOBYTE, lambda: iter([got])),
    ):
        pass

    assert kept(folder) == 0
    assert source.read(cache, "a") == content("a")


def test_content_that_was_damaged_on_its_way_is_got_again(folder):
    arriving = iter([b"x" * KILOBYTE, content("a")])
    with cache_of(folder, 2).entry(
        sha256_bytes(content("a")), KILOBYTE, lambda: iter([next(arriving)])
    ) as path:
        assert path.read_bytes() == content("a")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, 999)


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_copy_that_is_damaged_on_disk_is_got_again(folder, source, damage):
    cache = cache_of(folder, 2)
    with source.open(cache, "a") as path:
        damage(path)

    assert source.read(cache, "a") == content("a")
    assert source.asked == ["a", "a"]


PROCESS = """
import os, sys, time
from pathlib import Path
from components.shared.files import sha256_bytes
from components.shared.storage.cache import Cache

folder, log, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
data = b"a" * 1000
def pieces():
    with log.open("a") as file:
        file.write("asked\\n")
    yield data[:600]
    if mode == "hang":
        print("half", flush=True)
        time.sleep(600)
    time.sleep(0.2)
    yield data[600:]

if mode == "share":
    sys.stdin.readline()
with Cache(folder, lambda _: 2000).entry(sha256_bytes(data), 1000, pieces) as path:
    print(path.read_bytes() == data, flush=True)
"""


def process(folder: Path, log: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, folder, log, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_copy_with_a_flipped_byte_and_its_old_time_is_noticed_by_the_next_process(folder, tmp_path):
    log = tmp_path / "log"
    assert process(folder, log, "get").communicate()[0] == "True\n"
    path = folder / sha256_bytes(b"a" * KILOBYTE)
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert process(folder, log, "get").communicate()[0] == "True\n"
    assert log.read_text() == "asked\n" * 2


def test_of_several_processes_one_gets_the_object_and_the_others_wait(folder, tmp_path):
    log = tmp_path / "log"
    sharing = [process(folder, log, "share") for _ in range(3)]

    assert [each.communicate("go\n")[0] for each in sharing] == ["True\n"] * 3
    assert log.read_text() == "asked\n"


def test_threads_share_a_copy(folder, source):
    cache = cache_of(folder, 2)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(source.read(cache, "a"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [content("a")] * 4
    assert source.asked == ["a"]


def test_process_that_is_killed_half_way_leaves_nothing_that_counts(folder, source, tmp_path):
    log = tmp_path / "log"
    with process(folder, log, "hang") as hanging:
        assert hanging.stdout.readline() == "half\n"
        waiting = process(folder, log, "get")
        hanging.send_signal(signal.SIGKILL)
    assert waiting.communicate()[0] == "True\n"
    assert log.read_text() == "asked\n" * 2
    assert kept(folder) == KILOBYTE


def test_what_a_killed_process_left_makes_room_for_others(folder, source, tmp_path):
    with process(folder, tmp_path / "log", "hang") as hanging:
        assert hanging.stdout.readline() == "half\n"
        hanging.send_signal(signal.SIGKILL)
    cache = cache_of(folder, 2)
    for name in ("b", "c"):
        source.read(cache, name)

    assert kept(folder) == 2 * KILOBYTE
    assert {source.read(cache, name) for name in "bc"} == {content("b"), content("c")}
    assert source.asked == ["b", "c"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def test_full_disk_is_emptied_of_copies_before_it_is_an_error(disk, source):
    cache = cache_of(disk / "cache", 100)
    for number in range(30):
        assert source.read(cache, str(number)) == content(str(number))


def fill(cache: Cache, source: Source, uses: ExitStack) -> None:
    for number in range(30):
        uses.enter_context(source.open(cache, str(number)))


def test_disk_that_is_full_of_other_things_is_an_error_with_what_to_do(disk, source):
    (disk / "other").write_bytes(bytes(16 * 1024))
    cache = cache_of(disk / "cache", 100)
    expected = rf"{disk}.*no place for an object of 1000 bytes.*{FOLDER_VARIABLE}"
    with ExitStack() as uses, pytest.raises(UserError, match=expected):
        fill(cache, source, uses)

    assert kept(disk / "cache") < 30 * KILOBYTE


FULL = """
import resource, sys
from pathlib import Path
from components.shared.errors import UserError
from components.shared.storage.cache import Cache
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    cache = Cache(Path(sys.argv[1]), lambda _: 10**6)
    with cache.entry("0" * 64, 1000, lambda: iter([b"1" * 1000])):
        pass
except UserError as error:
    print(error)
"""


def test_file_that_may_not_grow_is_an_error_with_what_to_do(folder):
    said = subprocess.run(
        [sys.executable, "-c", FULL, folder], capture_output=True, text=True, check=True
    )

    assert "no place for an object of 1000 bytes (File too large)" in said.stdout
    assert kept(folder) == 0


def test_folder_that_may_not_be_written_is_an_error_with_what_to_do(tmp_path, source):
    (tmp_path / "file").write_bytes(b"")

    with (
        pytest.raises(UserError, match=f"{tmp_path}.*set {FOLDER_VARIABLE}"),
        source.open(cache_of(tmp_path / "file" / "cache", 2), "a"),
    ):
        pass


def test_folder_and_bound_are_told_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "told"))
    monkeypatch.setenv(BYTES_VARIABLE, "12345")

    assert cache_folder() == tmp_path / "told"
    assert cache_bytes(tmp_path, 0) == 12345
    monkeypatch.setenv(BYTES_VARIABLE, "10 GiB")
    with pytest.raises(UserError, match=r"CACHE_BYTES=10 GiB: write a number of bytes"):
        cache_bytes(tmp_path, 0)


def test_without_the_environment_copies_are_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(BYTES_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    assert cache_folder() == tmp_path / "xdg" / "kubedistill" / "objects"
    assert 0 < cache_bytes(tmp_path, 0) <= 10 * 2**30


def test_without_a_cache_folder_copies_are_with_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert cache_folder() == tmp_path / f"kubedistill-{os.getuid()}" / "objects"
