"""The dataset manifest, and reading the rows that it names.

A dataset artifact is a folder with ``manifest.json``. Shards that the resolver wrote lie beside it;
shards of the user stay where they are, and are named by absolute path.
"""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.images_codec import decode_images
from components.shared.recipe.data import POSITION, ImageInput, TabularInput
from components.shared.records import read_record

MANIFEST = "manifest.json"
FORMAT_VERSION: Literal[1] = 1

SplitName = Literal["labelled", "unlabelled", "test"]
SPLITS: tuple[SplitName, ...] = ("labelled", "unlabelled", "test")
UNLABELLED = -1
"""Class index of a row without a label."""


def label_name(value: object) -> str | None:
    """The class that a label value means, or ``None`` for a missing one (null or NaN).

    Whole numbers lose their ``.0``, which pandas gives them once a value is missing; true and false
    are 1 and 0, as in the recipe's ``data.classes``.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


class Shard(BaseModel):
    """One Parquet file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Absolute, or relative to the manifest."""
    rows: int
    bytes: int
    sha256: str


class DatasetManifest(BaseModel):
    """What a data set is, down to the bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    source: str
    """The URI it was resolved from."""
    id: str
    """Name of the id column, or ``@position``."""
    label: str
    input: TabularInput | ImageInput
    classes: list[str]
    """Class names in the order of model outputs."""
    column_types: dict[str, str]
    """Arrow type of each column that is used."""
    shards: list[Shard]
    assignment: Shard | None
    """Parquet with one ``split`` value a row, in the order of the shards; null where the data have
    a split column."""
    split_column: str
    split_seed: int | None
    rows: dict[SplitName, int]
    digest: str
    """SHA-256 over the content hashes of shards and assignment, columns, input and classes."""


@dataclass(frozen=True)
class Rows:
    """Rows of one split in memory."""

    ids: list[str]
    inputs: npt.NDArray[np.float32]
    """Raw features, shape (rows, \\*input shape)."""
    labels: npt.NDArray[np.int64]
    """Class indices, shape (rows,); -1 where there is no label."""

    def __len__(self) -> int:
        return len(self.ids)


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
        manifest = read_record(path, DatasetManifest, FORMAT_VERSION, "dataset manifest")
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
        features = (
            manifest.input.columns if manifest.input.kind == "tabular" else [manifest.input.column]
        )
        columns = [manifest.label, *features]
        if manifest.id != POSITION:
            columns.insert(0, manifest.id)
        if manifest.assignment is None:
            columns.append(manifest.split_column)
        table = pa.concat_tables(
            [self._read_table(shard, columns) for shard in manifest.shards],
            promote_options="permissive",
        )
        if manifest.id == POSITION:
            positions = pa.array([f"row-{row}" for row in range(table.num_rows)])
            table = table.add_column(0, POSITION, positions)
        if manifest.assignment is None:
            names = ["split" if n == manifest.split_column else n for n in table.column_names]
            return table.rename_columns(names)
        assignment = self._read_table(manifest.assignment, ["split"])
        return table.append_column("split", assignment.column("split"))

    def load(self, *splits: SplitName) -> Rows:
        """The rows of the given splits, in the order of the data.

        Labels of the ``unlabelled`` split are hidden, also where the data have them.

        Raises:
            UserError: a label is not one of the classes, or an image cannot be decoded.
        """
        table = self.table()
        chosen = np.isin(np.asarray(table.column("split").to_pylist(), dtype=object), splits)
        table = table.filter(pa.array(chosen))
        return Rows(
            ids=[str(value) for value in table.column(self.manifest.id).to_pylist()],
            inputs=self._inputs(table),
            labels=self._labels(table),
        )

    def _read_table(self, shard: Shard, columns: list[str]) -> pa.Table:
        data = self._read(shard)
        try:
            return pq.read_table(io.BytesIO(data), columns=columns)
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{self._folder / shard.path}: this Parquet file is damaged ({reason})"
            ) from error

    def _read(self, shard: Shard) -> bytes:
        path = self._folder / shard.path
        if not path.is_file():
            raise UserError(f"{path}: this shard of {self.manifest.source} is gone")
        data = path.read_bytes()
        if len(data) != shard.bytes or sha256_bytes(data) != shard.sha256:
            raise UserError(
                f"{path}: the content changed after the data set was resolved; run again"
            )
        return data

    def _inputs(self, table: pa.Table) -> npt.NDArray[np.float32]:
        spec = self.manifest.input
        if spec.kind == "tabular":
            columns = [
                table.column(name).to_numpy(zero_copy_only=False).astype(np.float32)
                for name in spec.columns
            ]
            return np.stack(columns, axis=1)
        return decode_images(table.column(spec.column), spec.shape)

    def _labels(self, table: pa.Table) -> npt.NDArray[np.int64]:
        index = {name: position for position, name in enumerate(self.manifest.classes)}
        labels = np.full(table.num_rows, UNLABELLED, dtype=np.int64)
        values = table.column(self.manifest.label).to_pylist()
        for row, (value, split) in enumerate(
            zip(values, table.column("split").to_pylist(), strict=True)
        ):
            name = label_name(value)
            if name is None or split == "unlabelled":
                continue
            if name not in index:
                raise UserError(
                    f"{self.manifest.source}: label {name!r} is not one of the classes "
                    f"{', '.join(self.manifest.classes)}"
                )
            labels[row] = index[name]
        return labels
