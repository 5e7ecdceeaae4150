"""What both a folder and an S3 prefix can keep: whole objects that appear atomically under flat,
slash-separated names, and are never renamed."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from components.shared.errors import StorageFailed


class Damaged(StorageFailed):
    """What arrived is not what is stored; it may arrive whole the next time."""


class StoredObject(NamedTuple):
    """One object of a listing."""

    name: str
    """Below the root."""
    size: int
    """Bytes."""


class Storage(Protocol):
    """Named objects under one root.

    Every method raises :class:`~components.shared.errors.UserError` where the user is at fault
    (credentials, a bucket that does not exist, no right to write, a full disk) and
    :class:`~components.shared.errors.StorageFailed` where the storage was out of reach for longer
    than retries last.
    """

    @property
    def uri(self) -> str:
        """The root."""

    def open(self, name: str) -> BinaryIO:
        """Open an object for (seekable) reading; ``FileNotFoundError`` where there is none."""

    def read(self, name: str) -> bytes:
        """An object, whole; ``FileNotFoundError`` where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Store an object whole; a reader sees the old object or the new, never a part."""

    def create(self, name: str, data: bytes) -> bool:
        """Store an object unless there is one of that name; whether it was stored."""

    def upload(self, name: str, file: Path) -> None:
        """Store a file of any size; a reader sees the old object or the new, never a part."""

    def size(self, name: str) -> int | None:
        """Bytes of an object, or ``None`` where there is none."""

    def exists(self, name: str) -> bool:
        """Whether the object is there."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose names start with ``prefix``, in the order of their names."""

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
