"""Objects as files below a folder."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from components.shared.errors import StorageFailed, UserError
from components.shared.files import write_atomically
from components.shared.storage.protocol import StoredObject
from components.shared.storage.uris import checked_name

_ADVICE = {
    frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG}): "the disk is full: free space, or use "
    "another folder",
    frozenset({errno.EACCES, errno.EPERM, errno.EROFS}): "ask for the right to do this, or use "
    "another folder",
    frozenset({errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR}): "use "
    "another name",
}

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What file systems say that have no (further) hard links."""


class LocalStorage:
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def uri(self) -> str:
        """The folder."""
        return str(self._root)

    def open(self, name: str) -> BinaryIO:
        """Open the file ``root/name``."""
        path = self._path(name)
        with reported(path, "reading"):
            return path.open("rb")

    def read(self, name: str) -> bytes:
        """The content of ``root/name``."""
        path = self._path(name)
        with reported(path, "reading"):
            return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write to a temporary file and rename it."""
        path = self._path(name)
        with reported(path, "writing"):
            write_atomically(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """Write to a temporary file and link it, which fails where there is one.

        A file system without links cannot do that: there a file that appears at the same instant
        is replaced.
        """
        path = self._path(name)
        with reported(path, "writing"), _beside(path) as temporary:
            write_atomically(temporary, data)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if path.exists():
                    return False
                temporary.replace(path)
        return True

    def upload(self, name: str, file: Path) -> None:
        """Copy to a temporary file and rename it."""
        path = self._path(name)
        with reported(path, "writing"), _beside(path) as temporary:
            with file.open("rb") as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
                target.flush()
                os.fsync(target.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)

    def size(self, name: str) -> int | None:
        """Bytes of the file ``root/name``, or ``None`` where there is none."""
        path = self._path(name)
        with reported(path, "reading"):
            return path.stat().st_size if path.is_file() else None

    def exists(self, name: str) -> bool:
        """Whether ``root/name`` is a file."""
        return self.size(name) is not None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Files below the folder, without hidden ones and those in hidden folders."""
        with reported(self._root, "listing"):
            found = [path.relative_to(self._root) for path in self._root.rglob("*")]
        for path in sorted(found, key=Path.as_posix):
            if path.as_posix().startswith(prefix) and not _is_hidden(path):
                size = self.size(path.as_posix())
                if size is not None:
                    yield StoredObject(path.as_posix(), size)

    def delete(self, name: str) -> None:
        """Remove the file ``root/name``."""
        path = self._path(name)
        with reported(path, "deleting"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)


@contextmanager
def reported(path: Path, operation: str) -> Iterator[None]:
    """Errors of the operating system as the user's, or the storage's; a file that is missing stays
    ``FileNotFoundError``.

    Raises:
        UserError: the disk is full, or the user has no right to do this.
        StorageFailed: the disk is broken, or its server away.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        said = f"{path}: {operation} failed ({error.strerror})"
        for numbers, advice in _ADVICE.items():
            if error.errno in numbers:
                raise UserError(f"{said}; {advice}") from error
        raise StorageFailed(said) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """An empty temporary file in the same folder, which is gone after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
