"""Record files of a node: written once, shared by its processes; the oldest make room."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import new_directory
from components.shared.storage.cache_settings import FOLDER_VARIABLE, cache_bytes, cache_folder
from components.shared.training.rows.record_file import RecordFile

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_HELP = f"free some space, or set {FOLDER_VARIABLE} to a folder on a larger disk"


AskForRoom = Callable[[int], None]


def open_records(key: str, write: Callable[[Path, AskForRoom], None]) -> RecordFile:
    """The record file of ``key``, written if it is not there; others wait for the writer.

    Args:
        key: says what is in it; a file of this key is never written otherwise.
        write: writes a record file into a folder, after it has asked for room of so many bytes.

    Raises:
        UserError: the disk has no room, or may not be written.
    """
    root = rows_folder()
    with writable(root), _locked(root, key):
        folder = root / key
        with suppress(FileNotFoundError):
            file = RecordFile(folder)
            os.utime(folder, ns=(time.time_ns(),) * 2)  # the kernel's own clock is coarser
            return file
        for left in root.glob(f".{key}.*.tmp"):  # of a writer that was killed
            shutil.rmtree(left, ignore_errors=True)
        with new_directory(folder) as temporary:
            write(temporary, lambda size: _make_room(root, key, size))
        return RecordFile(folder)


def rows_folder() -> Path:
    """Where this node keeps training rows: among its copies of remote objects, which know by the
    suffix that it is none of them.

    Raises:
        UserError: it may not be written.
    """
    folder = cache_folder() / "training.rows"
    with writable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Within the block, a disk that is full or may not be written is the user's to mend.

    Raises:
        UserError: it is full, or may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"{folder}: the disk is full; {_HELP}") from error
        if error.errno in _REFUSED:
            raise UserError(
                f"{folder}: training rows cannot be kept here ({error.strerror}); set "
                f"{FOLDER_VARIABLE} to a folder that may be written"
            ) from error
        raise


def _make_room(root: Path, key: str, size: int) -> None:
    """Remove what was not used for longest until ``size`` bytes stay within the bound.

    What a process has open stays readable for it.
    """
    others = _others(root, key)
    used = sum(others.values())
    bound = cache_bytes(root, used)
    for path, kept in others.items():
        if used + size <= bound and shutil.disk_usage(root).free >= size:
            break
        with _locked(root, path.name.removeprefix(".").split(".")[0], wait=False) as mine:
            if mine:
                shutil.rmtree(path, ignore_errors=True)
                used -= kept
    free = shutil.disk_usage(root).free
    if free < size:
        raise UserError(
            f"{root}: {size:,} bytes are needed for the training rows, {free:,} are free; {_HELP}"
        )


def _others(root: Path, key: str) -> dict[Path, int]:
    """Bytes of each record file but that of ``key``, longest unused first."""
    last_use, sizes = {}, {}
    for folder in root.iterdir():
        if folder.is_dir() and key not in folder.name:
            with suppress(FileNotFoundError):  # another process removes it
                last_use[folder] = folder.stat().st_mtime_ns
                sizes[folder] = sum(file.stat().st_size for file in folder.iterdir())
    return {folder: sizes[folder] for folder in sorted(sizes, key=last_use.__getitem__)}


@contextmanager
def _locked(root: Path, key: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a key, which the kernel lets go when the process dies."""
    with (root / f"{key}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
