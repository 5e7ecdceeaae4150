"""Copies of remote objects on a node: shared by its processes, bounded, and never trusted unread.

Each object has up to three files, named by its SHA-256. The *lock* is held shared by those who use
the object, and exclusively by who evicts it; its time of modification is that of the last use. The
*part* is what is being fetched, held exclusively by the one who does; it has its final size from
the start, which reserves its place in the bound. A process that is killed lets go of both, and
whoever comes next clears up.
"""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from components.shared.errors import UserError
from components.shared.storage.cache_settings import BYTES_VARIABLE, FOLDER_VARIABLE
from components.shared.storage.protocol import Damaged
from components.shared.storage.verified import holds, remember

_LOCK, _PART = ".lock", ".part"
_ROOM = "room"
_OURS = re.compile(rf"[0-9a-f]{{64}}({_LOCK}|{_PART})?")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Pieces = Callable[[], Iterator[bytes]]
"""Gets an object, from its start."""


Bound = Callable[[int], int]
"""Bytes of all copies, from the bytes of those that are there."""


class OtherContent(Exception):  # noqa: N818 - reads as an event
    """What was got is not the object that is meant."""


class Cache:
    """Copies of objects in a folder."""

    def __init__(self, folder: Path, bound: Bound) -> None:
        """Nothing is touched yet.

        Args:
            folder: what else is in it is left alone.
            bound: asked when a copy is made. Only copies that are in use may be more.
        """
        self._folder, self._bound = folder, bound

    @contextmanager
    def entry(self, sha256: str, size: int, pieces: Pieces) -> Iterator[Path]:
        """The object's copy, which stays for the block; got by one process, for which the others
        wait.

        Raises:
            OtherContent: the pieces are not of this size and hash.
            UserError: the disk is full, or the folder may not be written.
        """
        path = self._folder / sha256
        with self._use(path) as lock:
            try:
                if not holds(path, sha256, size):
                    self._get(path, sha256, size, pieces)
            except PermissionError as error:
                raise self._unusable(error) from error
            now = time.time_ns()
            os.utime(lock.fileno(), ns=(now, now))
            yield path

    @contextmanager
    def _use(self, path: Path) -> Iterator[BinaryIO]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(path.with_suffix(_LOCK), fcntl.LOCK_SH)
        except OSError as error:
            raise self._unusable(error) from error
        with lock:
            yield lock

    def _get(self, path: Path, sha256: str, size: int, pieces: Pieces) -> None:
        part = path.with_suffix(_PART)
        with _lock(part, fcntl.LOCK_EX) as file:
            try:
                if holds(path, sha256, size):
                    part.unlink()  # somebody else got it meanwhile
                    return
                self._fill(file.fileno(), sha256, size, pieces)
                part.replace(path)
                remember(path, sha256)
            except BaseException as error:
                part.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise self._full(size, error) from error
                raise

    def _fill(self, file: int, sha256: str, size: int, pieces: Pieces) -> None:
        """Twice, before what arrives is taken for what is stored; on a full disk, once more."""
        self._make_room(file, size, self._bound)
        for is_last in (False, True):
            try:
                with suppress(Damaged):
                    if _write(file, pieces) == sha256:
                        return
            except OSError as error:
                if is_last or error.errno not in _FULL:
                    raise
                self._make_room(file, size, lambda _: 0)
        raise OtherContent(sha256)

    def _make_room(self, file: int, size: int, bound: Bound) -> None:
        """Evict what was not used for longest, and take the place of ``size`` bytes."""
        with _lock(self._folder / _ROOM, fcntl.LOCK_EX):
            os.truncate(file, 0)
            sizes = self._sizes()
            allowed = bound(sum(sizes.values()))
            for path in sorted(sizes, key=_last_use):
                is_needed = sum(sizes.values()) + size > allowed
                if (is_needed or not sizes[path]) and _evict(path):
                    del sizes[path]
            os.truncate(file, size)

    def _sizes(self) -> dict[Path, int]:
        """Bytes on behalf of each object, whole or in part; none where only its lock is left."""
        sizes: dict[Path, int] = {}
        for file in self._folder.iterdir():
            if _OURS.fullmatch(file.name):
                with suppress(FileNotFoundError):
                    path = file.with_suffix("")
                    sizes[path] = sizes.get(path, 0) + file.stat().st_size
        return sizes

    def _full(self, size: int, error: OSError) -> UserError:
        return UserError(
            f"{self._folder}: no place for an object of {size} bytes ({error.strerror}), though "
            f"all that was not in use was removed; free space, or set {FOLDER_VARIABLE} to a "
            f"folder on a larger disk ({BYTES_VARIABLE} bounds what is kept there)"
        )

    def _unusable(self, error: OSError) -> UserError:
        return UserError(
            f"{self._folder}: objects cannot be kept here ({error.strerror}); set "
            f"{FOLDER_VARIABLE} to a folder that may be written"
        )


def _write(file: int, pieces: Pieces) -> str:
    """The hash of what was written."""
    hashed = hashlib.sha256()
    os.lseek(file, 0, os.SEEK_SET)
    for piece in pieces():
        hashed.update(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(file, left) :]
    return hashed.hexdigest()


def _lock(path: Path, operation: int) -> BinaryIO:
    """Open a file, made where there is none, and lock it; closing it lets go.

    Raises:
        BlockingIOError: somebody holds it, and ``operation`` is not to wait.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
        try:
            fcntl.flock(file, operation)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # it was renamed or removed while we waited


def _last_use(path: Path) -> int:
    try:
        return path.with_suffix(_LOCK).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _evict(path: Path) -> bool:
    """Remove what there is of an object, unless it is in use; whether it was removed."""
    try:
        lock = _lock(path.with_suffix(_LOCK), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with lock:
        for suffix in ("", _PART, _LOCK):
            path.with_suffix(suffix).unlink(missing_ok=True)
    return True
