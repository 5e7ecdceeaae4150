"""Objects below a root: the same in a folder and in S3."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.shared.errors import UserError
from components.shared.storage import Storage, join, open_storage
from components.shared.storage.s3_reading import FIRST_BLOCK

LARGE = os.urandom(20_000_003)
"""Several parts, and several blocks of a reader."""


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "objects")
    return str(request.getfixturevalue("s3_root"))


@pytest.fixture
def storage(root: str) -> Storage:
    return open_storage(root)


def names(storage: Storage, prefix: str = "") -> list[str]:
    return [found.name for found in storage.list(prefix)]


def test_object_that_was_written_is_read_listed_replaced_and_deleted(storage):
    storage.write("b/one.txt", b"first")
    storage.write("b/one.txt", b"second")
    storage.write("a", b"")

    assert storage.read("b/one.txt") == b"second"
    assert storage.read("a") == b""
    with storage.open("a") as file:
        assert file.read() == b""
    assert [tuple(found) for found in storage.list()] == [("a", 0), ("b/one.txt", 6)]
    assert (storage.size("b/one.txt"), storage.exists("b/one.txt")) == (6, True)
    storage.delete("b/one.txt")
    storage.delete("b/one.txt")
    assert names(storage) == ["a"]


def test_names_need_no_escape(storage):
    odd = ["a b/ü+%41?x#y&z=.txt", "a b/é", "z"]
    for name in odd:
        storage.write(name, name.encode())

    assert names(storage) == sorted(odd)
    assert names(storage, "a b/") == sorted(odd[:2])
    assert [storage.read(name) for name in odd] == [name.encode() for name in odd]


def test_missing_object_is_not_found(storage):
    storage.write("there", b"1")

    assert (storage.size("missing"), storage.exists("missing")) == (None, False)
    for get in (storage.open, storage.read):
        with pytest.raises(FileNotFoundError):
            get("missing")


def test_listing_of_what_is_not_there_is_empty(root):
    assert names(open_storage(join(root, "nothing"))) == []


def test_prefix_of_a_root_is_a_folder(root):
    open_storage(join(root, "run")).write("x", b"1")
    open_storage(join(root, "run-2")).write("y", b"1")

    assert names(open_storage(join(root, "run"))) == ["x"]
    assert names(open_storage(join(root, "run", ""))) == ["x"]


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../out", ""])
def test_name_that_leads_out_of_the_root_is_refused(storage, name):
    for use in (storage.read, storage.size, storage.delete, lambda name: storage.write(name, b"")):
        with pytest.raises(UserError, match="leads out of its folder"):
            use(name)


def test_object_is_created_once(storage):
    assert storage.create("lock", b"mine")
    assert not storage.create("lock", b"theirs")
    assert storage.read("lock") == b"mine"


RACE = """
import sys
from components.shared.storage import open_storage
storage = open_storage(sys.argv[1])
sys.stdin.readline()
print(sum(storage.create(f"lock-{n}", sys.argv[2].encode()) for n in range(20)))
"""


def test_of_processes_that_race_to_create_an_object_exactly_one_wins(root, storage):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, root, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate()[0]) for racer in racers]

    owners = [storage.read(f"lock-{n}").decode() for n in range(20)]
    assert won == [owners.count(str(number)) for number in range(3)]
    assert sum(won) == 20


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(LARGE)
    return path


@pytest.fixture
def large(storage: Storage, large_file: Path) -> Iterator[Storage]:
    storage.upload("large", large_file)
    return storage


def test_large_object_is_what_was_uploaded_or_written(large):
    large.write("written", LARGE)

    assert large.size("large") == len(LARGE)
    assert large.read("large") == LARGE
    assert large.read("written") == LARGE


def test_reads_and_seeks_find_what_a_local_file_has(large, large_file):
    chance = random.Random(4)  # noqa: S311 - the same at every run
    with large.open("large") as ours, large_file.open("rb") as theirs:
        for _ in range(80):
            whence = chance.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
            at = chance.choice([0, FIRST_BLOCK - 1, FIRST_BLOCK, chance.randrange(len(LARGE))])
            offset = {os.SEEK_SET: at, os.SEEK_CUR: at - theirs.tell(), os.SEEK_END: -at}[whence]
            assert ours.seek(offset, whence) == theirs.seek(offset, whence)
            for size in (chance.randrange(10), chance.randrange(2 * FIRST_BLOCK)):
                assert ours.read(size) == theirs.read(size)
                assert ours.tell() == theirs.tell()
        assert ours.seek(len(LARGE) + 10) == len(LARGE) + 10
        assert ours.read(1) == b""
        ours.seek(0)
        assert ours.read() == LARGE


def test_pyarrow_reads_columns_of_an_object(storage, tmp_path):
    table = pa.table({"a": range(100_000), "b": [str(n) for n in range(100_000)]})
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=10_000)
    storage.upload("table.parquet", tmp_path / "table.parquet")

    with storage.open("table.parquet") as file:
        parquet = pq.ParquetFile(file)
        assert parquet.read_row_group(7, columns=["b"]) == table.select(["b"]).slice(70_000, 10_000)
        assert parquet.read() == table
