"""The dataset manifest: what a data set is, down to the bytes."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from components.shared.errors import UserError
from components.shared.later import later
from components.shared.recipe.data import POSITION, SplitName
from components.shared.recipe.inputs import InputSpec
from components.shared.records import read_record
from components.shared.storage import is_s3

MANIFEST = "manifest.json"
FORMAT_VERSION: Literal[1] = 1

SPLITS: tuple[SplitName, ...] = ("labelled", "unlabelled", "test")
SplitNumbers = npt.NDArray[np.int8]
"""Number of each row's split, shape (rows,)."""
NO_SPLIT = -1
"""Number of the split of a row that is in none; the others' are their places in ``SPLITS``."""
UNLABELLED = -1
"""Class index of a row without a label."""
NO_LABEL = "@none"
"""Stands for a label column where the data have none: no row has a label."""


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
    """One Parquet file of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Absolute, relative to the manifest, or the URI of an object in S3."""
    rows: int
    bytes: int
    sha256: str

    def location(self, folder: Path) -> str:
        """Path or URI, where ``folder`` has the manifest."""
        return self.path if is_s3(self.path) else str(folder / self.path)


class DatasetManifest(BaseModel):
    """What a data set is, down to the bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    source: str
    """The URI it was resolved from."""
    id: str
    """Name of the id column, or ``@position``."""
    label: str
    """Name of the label column, or ``@none``."""
    input: InputSpec
    classes: list[str]
    """Class names in the order of model outputs."""
    column_types: dict[str, str]
    """Arrow type of each column that is used."""
    slices: list[str] = []
    """Columns by whose values the evaluation is broken down."""
    sensitive: list[str] = later([])
    """Columns of which no value may be in a message about a row that cannot be read or labelled;
    the recipe's ``validation`` names them."""
    shards: list[Shard]
    assignment: Shard | None
    """Parquet with one ``split`` value a row, in the order of the shards; null where the data have
    a split column."""
    split_column: str
    split_seed: int | None
    rows: dict[SplitName, int]
    digest: str
    """SHA-256 over the content hashes of shards, the split, columns, input and classes, without
    slices and sensitive columns, which say nothing of what models learn from."""

    @property
    def meaningful(self) -> list[str]:
        """The columns behind ids, labels and features."""
        ids = [] if self.id == POSITION else [self.id]
        labels = [] if self.label == NO_LABEL else [self.label]
        return [*ids, *labels, *self.input.names]

    def name_of(self, row: int, name: str) -> str:
        """A row in a message.

        Args:
            row: its number, counted from 0.
            name: its id, which is left out where ids are sensitive.
        """
        return f"row {row}" if self.id in self.sensitive else f"row {row} (id {name!r})"


def read_manifest(folder: Path, digest: str | None = None) -> DatasetManifest:
    """Read the manifest in a dataset artifact.

    Args:
        folder: the artifact.
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
    return manifest
