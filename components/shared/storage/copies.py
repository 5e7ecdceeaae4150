"""Objects as local files whose content is known."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.shared.errors import UserError
from components.shared.storage.cache import Cache, OtherContent
from components.shared.storage.cache_settings import cache_bytes, cache_folder
from components.shared.storage.local import reported
from components.shared.storage.opening import open_storage
from components.shared.storage.uris import is_s3, local_path, split
from components.shared.storage.verified import holds

_PIECE = 2**20
GONE = "this file is gone"
CHANGED = "the content is not the one that was recorded: it was changed or damaged; run again"


@contextmanager
def local_copy(
    uri: str, sha256: str, size: int, *, gone: str = GONE, changed: str = CHANGED
) -> Iterator[Path]:
    """A local file with an object's content: the object itself where it is local, else a copy in
    the cache of this node, which stays at least for the block.

    Args:
        uri: a path, ``file://`` or ``s3://``.
        sha256: of the content, hex.
        size: bytes.
        gone: what to say to the user where there is no such object.
        changed: what to say to the user where the content is another.

    Raises:
        UserError: the object is gone, is another, or may not be read; the disk is full.
        StorageFailed: the storage was out of reach for longer than retries last.
    """
    if not is_s3(uri):
        yield _checked(local_path(uri), sha256, size, gone, changed)
        return
    folder = cache_folder()
    cache = Cache(folder, lambda kept: cache_bytes(folder, kept))
    with ExitStack() as stack:
        try:
            path = stack.enter_context(cache.entry(sha256, size, lambda: _pieces(uri, size, gone)))
        except OtherContent as error:
            raise UserError(f"{uri}: {changed}") from error
        yield path


def _checked(path: Path, sha256: str, size: int, gone: str, changed: str) -> Path:
    with reported(path, "reading"):
        if holds(path, sha256, size):
            return path
    raise UserError(f"{path}: {changed if path.is_file() else gone}")


def _pieces(uri: str, size: int, gone: str) -> Iterator[bytes]:
    """An object's content; none of an object of another size."""
    root, name = split(uri)
    try:
        opened = open_storage(root).open(name)
    except FileNotFoundError as error:
        raise UserError(f"{uri}: {gone}") from error
    with opened as source:
        if source.seek(0, io.SEEK_END) == size:
            source.seek(0)
            while piece := source.read(_PIECE):
                yield piece
