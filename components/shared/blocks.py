"""Rows of a data set as they come from its shards: with their split, names, labels and inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.errors import UserError
from components.shared.images_codec import decode_images
from components.shared.manifest import UNLABELLED, DatasetManifest, SplitName, label_name
from components.shared.recipe.data import POSITION
from components.shared.shards import Shard, read_shards

_FOREIGN = -2
"""Stands for a label that is not one of the classes."""


@dataclass(frozen=True)
class Block:
    """Some rows of one shard."""

    manifest: DatasetManifest
    file: Path
    before: int
    """Rows of the shards before this one."""
    numbers: npt.NDArray[np.int64]
    """Position of each row in the file."""
    table: pa.Table
    split: pa.ChunkedArray

    def of(self, splits: Sequence[SplitName]) -> "Block":
        """The rows of the given splits."""
        inside = pc.is_in(self.split, value_set=pa.array(splits, pa.string()))
        if pc.all(inside).as_py():
            return self
        return replace(
            self,
            numbers=self.numbers[inside.to_numpy()],
            table=self.table.filter(inside),
            split=self.split.filter(inside),
        )

    def ids(self) -> list[str]:
        """Name of each row."""
        if self.manifest.id == POSITION:
            return [f"row-{self.before + number}" for number in self.numbers.tolist()]
        names = self.table.column(self.manifest.id).cast(pa.string()).fill_null("None")
        found: list[str] = names.to_numpy().tolist()
        return found

    def labels(self) -> npt.NDArray[np.int64]:
        """Class indices, shape (rows,); -1 where there is no label, or it is hidden.

        Raises:
            UserError: a label is not one of the classes.
        """
        classes = self.manifest.classes
        index = {name: position for position, name in enumerate(classes)}
        column = self.table.column(self.manifest.label).combine_chunks()
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        # There are few different values; each is looked up once.
        names = [label_name(value) for value in encoded.dictionary.to_pylist()]
        known = [UNLABELLED if name is None else index.get(name, _FOREIGN) for name in names]
        positions = encoded.indices.cast(pa.int64()).fill_null(len(known)).to_numpy()
        labels: npt.NDArray[np.int64] = np.asarray([*known, UNLABELLED], dtype=np.int64)[positions]
        labels[pc.equal(self.split, "unlabelled").to_numpy()] = UNLABELLED
        foreign = labels == _FOREIGN
        if foreign.any():
            row = int(foreign.argmax())
            raise UserError(
                f"{self._where(row)}: label {label_name(column[row].as_py())!r} is not one of the "
                f"classes {', '.join(classes)}"
            )
        return labels

    def inputs(self) -> npt.NDArray[np.float32]:
        """Raw features, shape (rows, \\*input shape).

        Raises:
            UserError: an image cannot be decoded.
        """
        spec = self.manifest.input
        if spec.kind == "image":
            return self._images(self.table.column(spec.column), spec.shape)
        inputs = np.empty((self.table.num_rows, len(spec.columns)), np.float32)
        for position, name in enumerate(spec.columns):
            inputs[:, position] = self.table.column(name).to_numpy(zero_copy_only=False)
        return inputs

    def _images(self, column: pa.ChunkedArray, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        try:
            return decode_images(column, shape)
        except UserError:
            pass  # Some row is at fault: find it.
        for row in range(len(column)):
            try:
                decode_images(column.slice(row, 1), shape)
            except UserError as error:
                reason = str(error).replace("image in row 0: ", "image ")
                raise UserError(f"{self._where(row)}: {reason}") from error
        raise AssertionError("one of the images could not be decoded")

    def _where(self, row: int) -> str:
        """A row by its file, its position there, and its id."""
        name = self.ids()[row]
        return f"{self.file}: row {self.numbers[row]} (id {name!r})"


def read_blocks(
    manifest: DatasetManifest, folder: Path, columns: list[str], rows: int
) -> Iterator[Block]:
    """All rows in the order of the data, with their split, at most ``rows`` at a time.

    Args:
        manifest: of the data set.
        folder: where it lies.
        columns: columns of :attr:`Block.table`, each once.
        rows: most rows of a block.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved.
    """
    assigned = None
    names = columns
    if manifest.assignment is None:
        names = list(dict.fromkeys([*columns, manifest.split_column]))
    else:
        assigned = _Assignment(manifest.assignment, folder, rows, manifest.source)
    for chunk in read_shards(manifest.shards, folder, names, rows, manifest.source):
        count = chunk.table.num_rows
        split = assigned.take(count) if assigned else chunk.table.column(manifest.split_column)
        yield Block(
            manifest,
            chunk.file,
            chunk.before,
            np.arange(chunk.first, chunk.first + count),
            chunk.table.select(columns),
            split.cast(pa.string()),
        )


class _Assignment:
    """The file with the split of each row, read in step with the shards."""

    def __init__(self, shard: Shard, folder: Path, rows: int, source: str) -> None:
        self._chunks = read_shards([shard], folder, ["split"], rows, source)
        self._left = pa.chunked_array([], pa.string())

    def take(self, rows: int) -> pa.ChunkedArray:
        """The splits of the next rows."""
        while len(self._left) < rows:
            column = next(self._chunks).table.column("split")
            self._left = pa.chunked_array([*self._left.chunks, *column.chunks])
        taken, self._left = self._left.slice(0, rows), self._left.slice(rows)
        return taken
