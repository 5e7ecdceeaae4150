"""Rows of one Parquet file, decoded in bounded memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.arrow_types import parse_type
from components.shared.errors import UserError

_BUFFERS = 2**25
"""Bytes of all columns that are read at once; without it, whole row groups would be."""
_BUFFER = (2**14, 2**16)
"""Least and most bytes of a column that are: larger ones do not stay in the processor's cache."""


class Span(NamedTuple):
    """Consecutive rows of a file."""

    start: int
    stop: int


class FileState(NamedTuple):
    """What changes where a file is written or replaced."""

    inode: int
    bytes: int
    modified_ns: int


class Chunk(NamedTuple):
    """Consecutive rows of a file as they were read."""

    first: int
    """Position of the first row in the file."""
    table: pa.Table


def read_spans(
    path: Path,
    state: FileState,
    place: str,
    spans: Sequence[Span],
    columns: list[str],
    rows: int,
    types: Mapping[str, str] | None = None,
) -> Iterator[Chunk]:
    """Read columns of some rows, at most ``rows`` rows at a time.

    Only row groups with some of the rows are decoded, and none twice where the spans ascend.

    Args:
        path: the file.
        state: of the file when its content was checked.
        place: what errors call it.
        spans: the rows; no chunk is from two of them.
        columns: names, each once.
        rows: most rows of a chunk.
        types: Arrow types by name, for columns that are to have another one than in the file.

    Raises:
        UserError: the file is damaged, or was changed since its content was checked.
    """
    try:
        buffer = int(np.clip(_BUFFERS // max(len(columns), 1), *_BUFFER))
        # Unlike the default, this lets go of what was read.
        with pq.ParquetFile(path, buffer_size=buffer, pre_buffer=False) as parquet:
            unify = _Unify(parquet.schema_arrow, columns, types or {})
            for run in _ascending(spans):
                for chunk in _read(parquet, columns, run, rows):
                    if state_of(path) != state:
                        raise UserError(f"{place}: the content changes while it is read")
                    yield Chunk(chunk.first, unify(chunk.table))
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{place}: this Parquet file is damaged ({reason})") from error


def _ascending(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Successive spans that one pass over the file can read."""
    run: list[Span] = []
    for span in spans:
        if run and span.start < run[-1].stop:
            yield run
            run = []
        run.append(span)
    if run:
        yield run


def _read(
    parquet: pq.ParquetFile, columns: list[str], spans: Sequence[Span], rows: int
) -> Iterator[Chunk]:
    """Chunks of spans that ascend."""
    for groups, start in _row_groups(parquet.metadata, spans):
        first = start
        left = [span for span in spans if span.stop > first]
        # Threads of Arrow's pool would keep memory for later that cannot be had back.
        for batch in parquet.iter_batches(rows, groups, columns, use_threads=False):
            last = first + batch.num_rows
            for span in left:
                low, high = max(span.start, first), min(span.stop, last)
                if low < high:
                    yield Chunk(low, pa.Table.from_batches([batch.slice(low - first, high - low)]))
            left = [span for span in left if span.stop > last]
            first = last
            if not left:
                break


def _row_groups(
    metadata: pq.FileMetaData, spans: Sequence[Span]
) -> Iterator[tuple[list[int], int]]:
    """Adjacent row groups that have some of the rows, with the position of their first row."""
    starts, needed, first = [], [], 0
    for group in range(metadata.num_row_groups):
        last = first + metadata.row_group(group).num_rows
        starts.append(first)
        needed.append(any(span.start < last and span.stop > first for span in spans))
        first = last
    for wanted, run in groupby(range(len(needed)), needed.__getitem__):
        groups = list(run)
        if wanted:
            yield groups, starts[groups[0]]


class _Unify:
    """Gives columns the types that hold the values of all files."""

    def __init__(self, schema: pa.Schema, columns: list[str], types: Mapping[str, str]) -> None:
        self._columns = columns
        differing = [
            pa.field(name, parse_type(types[name]))
            for name in columns
            if name in types and str(schema.field(name).type) != types[name]
        ]
        self._others = pa.schema(differing).empty_table() if differing else None

    def __call__(self, table: pa.Table) -> pa.Table:
        if self._others is None:
            return self._plain(table)
        together = pa.concat_tables([self._others, table], promote_options="permissive")
        return self._plain(together)

    def _plain(self, table: pa.Table) -> pa.Table:
        """Without what only some files say of their columns, as that they miss no value."""
        return pa.Table.from_arrays([table.column(name) for name in self._columns], self._columns)


def state_of(path: Path) -> FileState:
    """The present state of a file."""
    found = os.stat(path)  # noqa: PTH116 - Path.stat costs more, and it is for each chunk
    return FileState(found.st_ino, found.st_size, found.st_mtime_ns)
