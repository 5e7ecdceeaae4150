"""Folders as storage: what the disk refuses is said to the user, and leaves what was there."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.storage import LocalStorage, Storage, local_copy
from tests.disks import small_disk, without_rights

WRITE: list[Callable[[Storage, Path], object]] = [
    lambda storage, file: storage.write("object", file.read_bytes()),
    lambda storage, file: storage.create("new", file.read_bytes()),
    lambda storage, file: storage.upload("object", file),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.mark.parametrize("write", WRITE)
def test_full_disk_is_said_and_leaves_the_old_object_and_nothing_else(disk, file, write):
    storage = LocalStorage(disk)
    storage.write("object", b"old")

    with pytest.raises(UserError, match=f"{disk}.*the disk is full"):
        write(storage, file)

    assert storage.read("object") == b"old"
    assert [file.name for file in disk.iterdir()] == ["object"]


@pytest.mark.parametrize("write", [*WRITE, lambda storage, file: storage.delete("object")])
def test_folder_that_may_not_be_written_is_said(file, write):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        storage = LocalStorage(path)
        storage.write("object", b"old")
        source = path / "source"
        source.write_bytes(b"new")
        with without_rights(path), pytest.raises(UserError, match=f"{path}.*ask for the right"):
            write(storage, source)

        assert storage.read("object") == b"old"


def test_file_that_may_not_be_read_is_said(tmp_path, file):
    file.chmod(0)
    storage = LocalStorage(tmp_path)

    with without_rights(tmp_path), pytest.raises(UserError, match=f"{file}.*ask for the right"):
        storage.read("file")


def test_name_below_a_file_is_said(tmp_path, file):
    storage = LocalStorage(tmp_path)

    with pytest.raises(UserError, match=r"file/below.*use another name"):
        storage.write("file/below", b"")


def test_hidden_files_are_not_listed(tmp_path):
    storage = LocalStorage(tmp_path)
    for name in ("shown", ".hidden", ".folder.tmp/file"):
        storage.write(name, b"")

    assert [found.name for found in storage.list()] == ["shown"]


def test_local_copy_of_a_file_is_the_file(tmp_path):
    path = tmp_path / "object"
    path.write_bytes(b"content")
    digest = sha256_bytes(b"content")

    for uri in (str(path), path.as_uri()):
        with local_copy(uri, digest, 7) as found:
            assert found == path


def test_file_that_changes_is_hashed_again(tmp_path):
    path = tmp_path / "object"
    path.write_bytes(b"content")
    digest = sha256_bytes(b"content")
    with local_copy(str(path), digest, 7):
        pass
    path.write_bytes(b"CONTENT")

    with pytest.raises(UserError, match=f"{path}: it changed"), changed(path, digest):
        pass


def test_file_that_is_gone_is_said(tmp_path):
    path = tmp_path / "object"

    with pytest.raises(UserError, match=f"{path}: it is gone"), changed(path, "0"):
        pass


def test_file_that_did_not_change_is_hashed_once(tmp_path, monkeypatch):
    path = tmp_path / "object"
    path.write_bytes(b"content")
    os.utime(path, (1, 1))
    digest = sha256_bytes(b"content")
    with local_copy(str(path), digest, 7):
        pass
    monkeypatch.setattr("components.shared.storage.verified.sha256_file", None)

    with local_copy(str(path), digest, 7):
        pass


def changed(path: Path, digest: str):
    return local_copy(str(path), digest, 7, gone="it is gone", changed="it changed")


def test_folder_without_hard_links_still_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems, which only the error stands for here."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    storage = LocalStorage(tmp_path)
    assert storage.create("a", b"1")
    assert not storage.create("a", b"2")
    assert (storage.read("a"), list(tmp_path.iterdir())) == (b"1", [tmp_path / "a"])
