"""Where bytes live: a small object-store interface, and its implementation on a local folder.

The interface is what both a folder and an S3 prefix can keep: whole objects that appear atomically
under flat, slash-separated names, and are never renamed.
"""

from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from components.shared.errors import UserError
from components.shared.files import write_atomically


class Storage(Protocol):
    """Named objects under one root."""

    def open(self, name: str) -> BinaryIO:
        """Open an object for (seekable) reading; ``FileNotFoundError`` where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Store an object whole; a reader sees the old object or the new, never a part."""

    def exists(self, name: str) -> bool:
        """Whether the object is there."""


class LocalStorage:
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> BinaryIO:
        """Open the file ``root/name``."""
        return (self._root / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """Write to a temporary file and rename it."""
        write_atomically(self._root / name, data)

    def exists(self, name: str) -> bool:
        """Whether ``root/name`` is a file."""
        return (self._root / name).is_file()


def local_path(uri: str) -> Path:
    """The local path that a path or ``file://`` URI names.

    Raises:
        UserError: for any other scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(parts.path)
    if "://" in uri:
        raise UserError(f"{uri}: only local paths are supported, not {parts.scheme}://")
    return Path(uri)


def open_storage(uri: str) -> Storage:
    """The storage behind a URI.

    Raises:
        UserError: for a scheme that has no implementation.
    """
    return LocalStorage(local_path(uri))
