"""Parquet shards: checked against their hashes, then read in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from components.shared.errors import UserError
from components.shared.files import sha256_file

_BUFFER = 2**16
"""Bytes of a column that are read at once; without it, whole row groups would be."""


class Shard(BaseModel):
    """One Parquet file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Absolute, or relative to the manifest."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Chunk:
    """Successive rows of one shard."""

    file: Path
    before: int
    """Rows of the shards before this one."""
    first: int
    """Position of the first row in the file."""
    table: pa.Table


def read_shards(
    shards: Sequence[Shard], folder: Path, columns: list[str], rows: int, source: str
) -> Iterator[Chunk]:
    """Read columns of all shards in order, at most ``rows`` rows at a time.

    Every shard is read twice: for its hash, before the first chunk, and for its rows. Columns have
    the type that holds the values of all shards, whatever shard a chunk is from.

    Args:
        shards: the files; at least one.
        folder: what their paths are relative to.
        columns: names, each once.
        rows: most rows of a chunk.
        source: what the data set is called in an error.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved.
    """
    schema = pa.unify_schemas(
        [_checked_schema(shard, folder / shard.path, columns, source) for shard in shards],
        promote_options="permissive",
    )
    before = 0
    for shard in shards:
        path = folder / shard.path
        first = 0
        for table in _tables(path, columns, rows):
            unified = pa.concat_tables(
                [schema.empty_table(), table], promote_options="permissive"
            ).select(columns)
            yield Chunk(path, before, first, unified)
            first += table.num_rows
        before += first


def _checked_schema(shard: Shard, path: Path, columns: list[str], source: str) -> pa.Schema:
    if not path.is_file():
        raise UserError(f"{path}: this shard of {source} is gone")
    if path.stat().st_size != shard.bytes or sha256_file(path) != shard.sha256:
        raise UserError(f"{path}: the content changed after the data set was resolved; run again")
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(_damaged(path, error)) from error
    return pa.schema([found.field(name).remove_metadata() for name in columns])


def _tables(path: Path, columns: list[str], rows: int) -> Iterator[pa.Table]:
    try:
        # Unlike the default, this lets go of what was read.
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as parquet:
            for batch in parquet.iter_batches(rows, columns=columns, use_threads=False):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise UserError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path}: this Parquet file is damaged ({' '.join(str(error).split())})"
