"""Rows of a data set as they come from its shards: with their split, names, labels and inputs."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.ahead import one_ahead
from components.shared.encoding.faults import BadValue
from components.shared.encoding.rows import encode
from components.shared.errors import UserError
from components.shared.lookup import look_up
from components.shared.manifest import (
    NO_LABEL,
    NO_SPLIT,
    SPLITS,
    UNLABELLED,
    DatasetManifest,
    SplitNumbers,
    label_name,
)
from components.shared.pieces import Piece
from components.shared.recipe.data import POSITION, SplitName
from components.shared.shards import Wanted, read_shards
from components.shared.spans import Span

_FOREIGN = -2
"""Stands for a label that is not one of the classes."""


@dataclass(frozen=True)
class Block:
    """Some rows of one shard."""

    manifest: DatasetManifest
    file: str
    """Path or URI of the shard."""
    before: int
    """Rows of the shards before this one."""
    numbers: npt.NDArray[np.int64]
    """Position of each row in the file."""
    table: pa.Table
    splits: SplitNumbers
    """Number of each row's split in :data:`SPLITS`; -1 for a row that is in none."""

    def inside(self, splits: Sequence[SplitName]) -> npt.NDArray[np.bool_]:
        """Which rows are in one of the given splits, shape (rows,)."""
        chosen = np.zeros(len(SPLITS) + 1, np.bool_)  # the last one is for none
        chosen[[SPLITS.index(name) for name in splits]] = True
        found: npt.NDArray[np.bool_] = chosen[self.splits]
        return found

    def of(self, splits: Sequence[SplitName]) -> "Block":
        """The rows of the given splits."""
        inside = self.inside(splits)
        if inside.all():
            return self
        return replace(
            self,
            numbers=self.numbers[inside],
            table=self.table.filter(pa.array(inside)),
            splits=self.splits[inside],
        )

    @property
    def split(self) -> pa.ChunkedArray:
        """Name of each row's split, null for a row that is in none."""
        numbers = pa.array(self.splits, mask=self.splits == NO_SPLIT)
        names = pa.DictionaryArray.from_arrays(numbers, pa.array(SPLITS))
        return pa.chunked_array([names.cast(pa.string())])

    def positions(self) -> npt.NDArray[np.int64]:
        """Number of each row over the whole data set, shape (rows,)."""
        return self.before + self.numbers

    def ids(self) -> pa.ChunkedArray:
        """Name of each row, as text."""
        if self.manifest.id == POSITION:
            return pa.chunked_array([names_of_positions(self.positions())])
        names = self.table.column(self.manifest.id).cast(pa.string())
        return names.fill_null("None") if names.null_count else names

    def labels(self) -> npt.NDArray[np.int64]:
        """Class indices, shape (rows,); -1 where there is no label, or it is hidden.

        Raises:
            UserError: a label is not one of the classes.
        """
        if self.manifest.label == NO_LABEL:
            return np.full(self.table.num_rows, UNLABELLED, np.int64)
        classes = self.manifest.classes
        index = {name: position for position, name in enumerate(classes)}
        column = self.table.column(self.manifest.label)

        def number(value: object) -> int:
            name = label_name(value)
            return UNLABELLED if name is None else index.get(name, _FOREIGN)

        labels = look_up(column, number, np.int64)
        labels[self.splits == SPLITS.index("unlabelled")] = UNLABELLED
        foreign = labels == _FOREIGN
        if foreign.any():
            row = int(foreign.argmax())
            raise UserError(
                f"{self.where(row)}: {self.manifest.label} {label_name(column[row].as_py())!r} is "
                f"not one of the classes {', '.join(classes)}"
            )
        return labels

    def inputs(self) -> npt.NDArray[np.float32]:
        """Raw features, shape (rows, \\*input shape).

        Raises:
            UserError: an image cannot be decoded, a list has another length than it should, or a
                category is unknown where that is an error.
        """
        try:
            return encode(self.table, self.manifest.input)
        except BadValue as error:
            hidden = error.what in self.manifest.sensitive
            reason = error.discreet if hidden else error.reason
            raise UserError(f"{self.where(error.row)}: {reason}") from error

    def where(self, row: int) -> str:
        """A row by its file, its position there, and its id where that is not sensitive."""
        told = self.manifest.name_of(int(self.numbers[row]), self.ids()[row].as_py())
        return f"{self.file}: {told}"


def names_of_positions(positions: npt.NDArray[np.int64]) -> pa.Array:
    """What rows without ids are called."""
    return pc.binary_join_element_wise("row-", pa.array(positions).cast(pa.string()), "")


def read_blocks(
    manifest: DatasetManifest,
    folder: Path,
    columns: list[str],
    rows: int,
    pieces: Sequence[Piece] | None = None,
) -> Generator[Block, None, None]:
    """Rows in the order of the data, with their split, at most ``rows`` at a time.

    Args:
        manifest: of the data set.
        folder: where it lies.
        columns: columns of :attr:`Block.table`, each once.
        rows: most rows of a block, none of which is from two pieces.
        pieces: which rows, in this order; by default all.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved.
        StorageFailed: its storage is out of reach.
    """
    if pieces is None:
        pieces = [Piece(number, 0, shard.rows) for number, shard in enumerate(manifest.shards)]
    before = [0, *accumulate(shard.rows for shard in manifest.shards)]
    numbers, wanted = [], []
    for number, run in groupby(pieces, lambda piece: piece.shard):
        numbers.append(number)
        wanted.append(Wanted(manifest.shards[number], [Span(p.start, p.stop) for p in run]))
    names, source, types = columns, manifest.source, manifest.column_types
    if manifest.assignment is None:
        names = list(dict.fromkeys([*columns, manifest.split_column]))
    rows_of_all = [Span(before[p.shard] + p.start, before[p.shard] + p.stop) for p in pieces]
    with _Assignment(manifest, folder, rows_of_all, rows) as assigned:
        for found in read_shards(wanted, folder, names, rows, source, types):
            first, table = found.chunk
            splits = (
                _split_numbers(table.column(manifest.split_column))
                if manifest.assignment is None
                else assigned.take(table.num_rows)
            )
            yield Block(
                manifest,
                found.place,
                before[numbers[found.wanted]],
                np.arange(first, first + table.num_rows),
                table.select(columns),
                splits,
            )


def _split_numbers(column: pa.ChunkedArray) -> SplitNumbers:
    def number(name: object) -> int:
        return SPLITS.index(name) if name in SPLITS else NO_SPLIT

    return look_up(column, number, np.int8)


class _Assignment:
    """The file with the split of each row, where there is one, read in step with the shards.

    It is decoded in a thread of its own, beside that of the shards, which is the one that others
    wait for.
    """

    def __init__(
        self, manifest: DatasetManifest, folder: Path, spans: Sequence[Span], rows: int
    ) -> None:
        self._chunks = one_ahead(_assigned(manifest, folder, spans, rows))
        self._left = np.zeros(0, np.int8)

    def __enter__(self) -> "_Assignment":
        return self

    def __exit__(self, *error: object) -> None:
        self._chunks.close()

    def take(self, rows: int) -> SplitNumbers:
        """The numbers of the splits of the next rows."""
        while len(self._left) < rows:
            self._left = np.concatenate([self._left, next(self._chunks)])
        taken, self._left = self._left[:rows], self._left[rows:]
        return taken


def _assigned(
    manifest: DatasetManifest, folder: Path, spans: Sequence[Span], rows: int
) -> Generator[SplitNumbers, None, None]:
    if manifest.assignment is None:
        return
    wanted = [Wanted(manifest.assignment, spans)]
    for found in read_shards(wanted, folder, ["split"], rows, manifest.source):
        yield _split_numbers(found.chunk.table.column("split"))
