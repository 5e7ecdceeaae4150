"""A data set: its manifest, and reading the rows that it names.

A dataset artifact is a folder with ``manifest.json``. Shards that the resolver wrote lie beside it;
shards of the user stay where they are, and are named by absolute path.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.blocks import read_blocks
from components.shared.errors import UserError
from components.shared.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    UNLABELLED,
    DatasetManifest,
    SplitName,
    label_name,
)
from components.shared.recipe.data import POSITION
from components.shared.records import read_record
from components.shared.shards import Shard

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "SPLITS",
    "UNLABELLED",
    "Dataset",
    "DatasetManifest",
    "Rows",
    "Shard",
    "SplitName",
    "label_name",
]

_CHUNK = 8192
"""Rows that are read at once where the caller does not say."""


@dataclass(frozen=True)
class Rows:
    """Rows of one split in memory."""

    ids: list[str]
    inputs: npt.NDArray[np.float32]
    """Raw features, shape (rows, \\*input shape)."""
    labels: npt.NDArray[np.int64]
    """Class indices, shape (rows,); -1 where there is no label."""
    columns: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)
    """Values of the further columns that were asked for, as they are in the data."""

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> "Rows":
        """The rows from ``start`` up to ``stop``, which share their memory with these."""
        return Rows(
            self.ids[start:stop],
            self.inputs[start:stop],
            self.labels[start:stop],
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
        path = folder / MANIFEST
        if not path.is_file():
            raise UserError(f"{folder} is not a dataset: it has no {MANIFEST}")
        manifest = read_record(path, DatasetManifest, "dataset manifest")
        if digest is not None and manifest.digest != digest:
            raise UserError(
                f"{path}: is of the data {manifest.digest[:12]}, but {digest[:12]} was asked for"
            )
        return cls(folder, manifest)

    def table(self) -> pa.Table:
        """All rows: id, label, features and ``split``, with the bytes checked.

        Raises:
            UserError: a shard is gone, or no longer has the content that was resolved.
        """
        manifest = self.manifest
        parts = []
        for block in read_blocks(manifest, self._folder, manifest.meaningful, _CHUNK):
            part = block.table
            if manifest.id == POSITION:
                part = part.add_column(0, POSITION, pa.array(block.ids(), pa.string()))
            parts.append(part.append_column("split", block.split))
        return pa.concat_tables(parts)

    def load(self, *splits: SplitName) -> Rows:
        """The rows of the given splits, in the order of the data.

        Labels of the ``unlabelled`` split are hidden, also where the data have them.

        Raises:
            UserError: a shard is gone, damaged or changed, a label is not one of the classes, or an
                image cannot be decoded; the message names the file and, for the last two, the row.
        """
        return _joined(list(self._pieces(splits, (), _CHUNK)))

    def batches(
        self, split: SplitName, *, rows: int = _CHUNK, columns: Sequence[str] = ()
    ) -> Iterator[Rows]:
        """The rows of a split, in the order of the data and in bounded memory.

        Args:
            split: the split.
            rows: rows of a batch; the last one may have fewer, and none is empty.
            columns: further columns, for :attr:`Rows.columns`; id, label and features too.

        Raises:
            UserError: as :meth:`load` does, once the row in question is reached.
        """
        waiting: list[Rows] = []
        for piece in self._pieces((split,), columns, rows):
            if len(piece) or not waiting:
                waiting.append(piece)
            count = sum(len(part) for part in waiting)
            if count >= rows:
                together = _joined(waiting)
                yield together.part(0, rows)
                waiting = [together.part(rows, count)]
        last = _joined(waiting)
        if len(last):
            yield last

    def values(self, split: SplitName, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the rows of a split, in the order of the data and in bounded memory.

        Nothing else is read, so that it is quick where rows have many features.

        Raises:
            UserError: a shard is gone, damaged, or no longer has the content that was resolved.
        """
        for block in read_blocks(self.manifest, self._folder, list(columns), _CHUNK):
            yield block.of((split,)).table

    def _pieces(
        self, splits: Sequence[SplitName], columns: Sequence[str], rows: int
    ) -> Iterator[Rows]:
        """The rows of the given splits among each ``rows`` rows of the data, possibly none."""
        names = list(dict.fromkeys([*self.manifest.meaningful, *columns]))
        for block in read_blocks(self.manifest, self._folder, names, rows):
            chosen = block.of(splits)
            yield Rows(
                ids=chosen.ids(),
                inputs=chosen.inputs(),
                labels=chosen.labels(),
                columns={name: chosen.table.column(name) for name in columns},
            )


def _joined(parts: Sequence[Rows]) -> Rows:
    """All rows in one piece; without a copy where there is one part only."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        ids=[name for part in parts for name in part.ids],
        inputs=np.concatenate([part.inputs for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        columns={
            name: pa.chunked_array(
                [chunk for part in parts for chunk in part.columns[name].chunks],
                parts[0].columns[name].type,
            )
            for name in parts[0].columns
        },
    )
