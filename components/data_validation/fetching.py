"""Data files as they are when a data set is resolved: their bytes are hashed and held still."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.room import temporary_room
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.storage import is_s3, open_storage, split

_PIECE = 2**20


class Fetched(NamedTuple):
    """A file, and what identifies it."""

    path: Path
    bytes: int
    sha256: str


class _State(NamedTuple):
    inode: int
    bytes: int
    modified_ns: int


@contextmanager
def fetched(place: str) -> Iterator[Fetched]:
    """A file as a local one, which has the hash for the whole of the block.

    An object in S3 is hashed as it arrives, and is a temporary file for the block.

    Args:
        place: a path or an ``s3://`` URI.

    Raises:
        UserError: it is gone, may not be read, or changes meanwhile; the disk is full.
        StorageFailed: S3 is out of reach.
        OSError: a local file cannot be read.
    """
    if is_s3(place):
        with _downloaded(place) as found:
            yield found
        return
    path = Path(place)
    before = _state(path)
    yield Fetched(path, before.bytes, sha256_file(path))
    if _state(path) != before:
        raise UserError(f"{place}: the file changes while it is read; run again when it is whole")


def column_names(place: str) -> list[str]:
    """The columns of a Parquet file, from its end alone; none where it cannot be read."""
    root, name = split(place)
    try:
        with open_storage(root).open(name) as file:
            names: list[str] = pq.read_schema(file).names
            return names
    except (pa.ArrowException, OSError):
        return []  # What is wrong with it is said where it is read.


@contextmanager
def _downloaded(uri: str) -> Iterator[Fetched]:
    root, name = split(uri)
    hashed = hashlib.sha256()
    try:
        source = open_storage(root).open(name)
    except FileNotFoundError as error:
        raise UserError(f"{uri}: this file is gone") from error
    with source, tempfile.NamedTemporaryFile(prefix="kubedistill-", suffix=".parquet") as copy:
        while piece := source.read(_PIECE):
            hashed.update(piece)
            with temporary_room(f"a copy of {uri}"):
                copy.write(piece)
                copy.flush()
        yield Fetched(Path(copy.name), copy.tell(), hashed.hexdigest())


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(found.st_ino, found.st_size, found.st_mtime_ns)
