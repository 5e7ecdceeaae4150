"""Parquet shards: checked against their hashes as they are reached, then read."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import NamedTuple

from components.shared.errors import UserError
from components.shared.manifest import Shard
from components.shared.spans import Chunk, FileState, Span, read_spans, state_of
from components.shared.storage import local_copy
from components.shared.storage.verified import holds

_CHANGED = "the content changed after the data set was resolved; run again"


class Wanted(NamedTuple):
    """Rows of a shard that are to be read."""

    shard: Shard
    spans: Sequence[Span]


class _Checked(NamedTuple):
    """A local file that has had the content of a shard in this state."""

    path: Path
    state: FileState


class Found(NamedTuple):
    """Rows of a shard."""

    place: str
    """Its path or URI."""
    wanted: int
    """Which of the wanted ones it is."""
    chunk: Chunk


def read_shards(
    wanted: Sequence[Wanted],
    folder: Path,
    columns: list[str],
    rows: int,
    source: str,
    types: Mapping[str, str] | None = None,
) -> Iterator[Found]:
    """Read columns of rows of shards in order, at most ``rows`` rows at a time.

    A shard's hash is checked before any of its rows is given out, and a file that changes after
    that is noticed before its next rows are. While one is read, the next one is fetched and
    checked.

    Args:
        wanted: which rows.
        folder: what the shards' paths are relative to.
        columns: names, each once.
        rows: most rows of a chunk, none of which is from two spans.
        source: what the data set is called in an error.
        types: Arrow types by name, where columns are to have the same one in all shards.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved.
        StorageFailed: its storage is out of reach.
    """
    with _Ahead(folder, source) as ahead:
        for number, (shard, spans) in enumerate(wanted):
            place = shard.location(folder)
            with ahead.opened(shard) as (path, state):
                for chunk in read_spans(path, state, place, spans, columns, rows, types):
                    yield Found(place, number, chunk)
                    # Only for somebody who asks for more.
                    if number + 1 < len(wanted):
                        ahead.start(wanted[number + 1].shard)


def open_shards(shards: Sequence[Shard], folder: Path, source: str) -> Iterator[Path]:
    """Each shard in turn as a local file, with its content checked; it stays until the next is
    asked for.

    Raises:
        UserError: a shard is gone, no longer has the content that was resolved, or changed before
            the next was asked for.
        StorageFailed: its storage is out of reach.
    """
    with _Ahead(folder, source) as ahead:
        for shard in shards:
            with ahead.opened(shard) as (path, state):
                yield path
                if not path.is_file() or state_of(path) != state:
                    raise UserError(f"{shard.location(folder)}: {_CHANGED}")


class _Ahead:
    """Fetches and checks one shard ahead of the one that is read."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source
        self._thread = ThreadPoolExecutor(1)
        self._next: Future[tuple[ExitStack, Path]] | None = None

    def __enter__(self) -> "_Ahead":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown()
        if self._next is not None and self._next.exception() is None:
            self._next.result()[0].close()

    def start(self, shard: Shard) -> None:
        """Begin with a shard, unless that has been done."""
        if self._next is None:
            self._next = self._begin(shard)

    @contextmanager
    def opened(self, shard: Shard) -> Iterator[_Checked]:
        """The shard, which is the one that was begun with last if there is one."""
        opening, self._next = self._next or self._begin(shard), None
        stack, path = opening.result()
        with stack:
            yield self._still(path, shard)

    def _begin(self, shard: Shard) -> Future[tuple[ExitStack, Path]]:
        return self._thread.submit(copy_context().run, self._open, shard)

    def _still(self, path: Path, shard: Shard) -> _Checked:
        """Looked at again, since it may have waited for long; cheap where nothing changed."""
        with suppress(FileNotFoundError):
            state = state_of(path)
            if holds(path, shard.sha256, shard.bytes):
                return _Checked(path, state)
        raise UserError(f"{shard.location(self._folder)}: {_CHANGED}")

    def _open(self, shard: Shard) -> tuple[ExitStack, Path]:
        stack = ExitStack()
        copy = local_copy(
            shard.location(self._folder),
            shard.sha256,
            shard.bytes,
            gone=f"this shard of {self._source} is gone",
            changed=_CHANGED,
        )
        return stack, stack.enter_context(copy)
