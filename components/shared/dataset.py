"""A data set: its manifest, and reading the rows that it names.

A dataset artifact is a folder with ``manifest.json``. Shards that the resolver wrote lie beside it;
shards of the user stay where they are, and are named by absolute path or ``s3://`` URI.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.ahead import one_ahead
from components.shared.blocks import Block, read_blocks
from components.shared.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    NO_LABEL,
    SPLITS,
    UNLABELLED,
    DatasetManifest,
    Shard,
    SplitNumbers,
    label_name,
    read_manifest,
)
from components.shared.pieces import Piece
from components.shared.recipe.data import POSITION, SplitName

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "NO_LABEL",
    "SPLITS",
    "UNLABELLED",
    "Dataset",
    "DatasetManifest",
    "Rows",
    "Shard",
    "SplitName",
    "label_name",
]

_BATCH = 8192
"""Rows of a batch where the caller does not say."""
_BLOCK_ROWS, _BLOCK_BYTES = 3 * 2**13, 2**23
"""Most rows that are read at once, and most bytes of their inputs (but for one row)."""


@dataclass(frozen=True)
class Rows:
    """Rows in memory."""

    names: pa.ChunkedArray
    """Id of each row, as text."""
    inputs: npt.NDArray[np.float32]
    """Raw features, shape (rows, \\*input shape)."""
    labels: npt.NDArray[np.int64]
    """Class indices, shape (rows,); -1 where there is no label."""
    positions: npt.NDArray[np.int64]
    """Number of each row over the whole data set, shape (rows,)."""
    splits: SplitNumbers
    """Number of each row's split in :data:`SPLITS`, shape (rows,)."""
    columns: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)
    """Values of the further columns that were asked for, as they are in the data."""

    @cached_property
    def ids(self) -> list[str]:
        """Id of each row."""
        found: list[str] = self.names.to_pylist()
        return found

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> "Rows":
        """The rows from ``start`` up to ``stop``, which share their memory with these."""
        return Rows(
            self.names.slice(start, stop - start),
            self.inputs[start:stop],
            self.labels[start:stop],
            self.positions[start:stop],
            self.splits[start:stop],
            {name: values.slice(start, stop - start) for name, values in self.columns.items()},
        )


class Dataset:
    """A resolved data set, opened from its artifact folder."""

    def __init__(self, folder: Path, manifest: DatasetManifest) -> None:
        self.manifest = manifest
        self._folder = folder

    @classmethod
    def open(cls, folder: Path, digest: str | None = None) -> "Dataset":
        """Read the manifest in ``folder``.

        Args:
            folder: the dataset artifact.
            digest: content digest that the caller expects, if it knows one.

        Raises:
            UserError: the folder holds no manifest of this format, or one of other data.
        """
        return cls(folder, read_manifest(folder, digest))

    def table(self) -> pa.Table:
        """All rows: id, label, features and ``split``, with the bytes checked.

        Raises:
            UserError: a shard is gone, or no longer has the content that was resolved.
        """
        manifest = self.manifest
        parts = []
        for block in read_blocks(manifest, self._folder, manifest.meaningful, _BATCH):
            part = block.table
            if manifest.id == POSITION:
                part = part.add_column(0, POSITION, block.ids())
            parts.append(part.append_column("split", block.split))
        return pa.concat_tables(parts)

    def load(self, *splits: SplitName) -> Rows:
        """The rows of the given splits, in the order of the data.

        Labels of the ``unlabelled`` split are hidden, also where the data have them.

        Raises:
            UserError: a shard is gone, damaged or changed, a label is not one of the classes, or an
                input cannot be used; the message names the file and, for the last two, the row.
            StorageFailed: the storage of a shard is out of reach.
        """
        return _joined(list(self._parts(splits, ())))

    def batches(
        self, *splits: SplitName, rows: int = _BATCH, columns: Sequence[str] = ()
    ) -> Iterator[Rows]:
        """The rows of the given splits, in the order of the data and in bounded memory.

        Args:
            splits: at least one.
            rows: rows of a batch; the last one may have fewer, and none is empty.
            columns: further columns, for :attr:`Rows.columns`; id, label and features too.

        Raises:
            UserError: as :meth:`load` does, once the row in question is reached.
        """
        held: list[Rows] = []
        count = 0
        for part in one_ahead(self._parts(splits, columns)):
            start = 0
            while count + len(part) - start >= rows:
                stop = start + rows - count
                yield _joined([*held, part.part(start, stop)])
                held, count, start = [], 0, stop
            if start < len(part):
                held.append(part.part(start, len(part)))
                count += len(part) - start
        if held:
            yield _joined(held)

    def values(self, split: SplitName, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the rows of a split, in the order of the data and in bounded memory.

        Nothing else is read, so that it is quick where rows have many features.

        Raises:
            UserError: a shard is gone, damaged, or no longer has the content that was resolved.
        """
        for block in read_blocks(self.manifest, self._folder, list(columns), _BATCH):
            yield block.of((split,)).table

    def read_pieces(self, pieces: Sequence[Piece], *splits: SplitName) -> Iterator[Rows]:
        """The rows of the given splits in each piece, possibly none, in the order of the pieces.

        One piece is in memory at a time. Only files and row groups with some of the rows are read,
        each once where the pieces are in the order of the data; a step back within a file begins
        another pass over it.

        Args:
            pieces: as :func:`~components.shared.pieces.pieces_of` makes them.
            splits: at least one.

        Raises:
            UserError: as :meth:`load` does, once the row in question is reached.
        """
        names = self.manifest.meaningful
        blocks = read_blocks(self.manifest, self._folder, names, self._block_rows, pieces)
        for piece in pieces:
            parts, rows = [], 0
            while rows < piece.rows:
                block = next(blocks)
                rows += len(block.numbers)
                parts.append(_rows(block, splits, ()))
            yield _joined(parts)

    def _parts(
        self, splits: Sequence[SplitName], columns: Sequence[str]
    ) -> Generator[Rows, None, None]:
        """The rows of the given splits, in the order of the data, in parts that may be empty."""
        names = list(dict.fromkeys([*self.manifest.meaningful, *columns]))
        # A thread of its own decodes, which takes as long as all that is made of a block.
        for block in one_ahead(read_blocks(self.manifest, self._folder, names, self._block_rows)):
            yield _rows(block, splits, columns)

    @property
    def _block_rows(self) -> int:
        """Rows that are read at once."""
        return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // (4 * prod(self.manifest.input.shape))))


def _rows(block: Block, splits: Sequence[SplitName], columns: Sequence[str]) -> Rows:
    """The rows of the given splits in a block."""
    chosen = block.of(splits)
    return Rows(
        names=chosen.ids(),
        inputs=chosen.inputs(),
        labels=chosen.labels(),
        positions=chosen.positions(),
        splits=chosen.splits,
        columns={name: chosen.table.column(name) for name in columns},
    )


def _joined(parts: Sequence[Rows]) -> Rows:
    """All rows in one; without a copy where there is one part only."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        names=_chained([part.names for part in parts]),
        inputs=np.concatenate([part.inputs for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        positions=np.concatenate([part.positions for part in parts]),
        splits=np.concatenate([part.splits for part in parts]),
        columns={
            name: _chained([part.columns[name] for part in parts]) for name in parts[0].columns
        },
    )


def _chained(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([c for column in columns for c in column.chunks], columns[0].type)
