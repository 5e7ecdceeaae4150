"""The dataset manifest: what a data set is, down to the bytes."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.shared.recipe.data import POSITION, ImageInput, TabularInput
from components.shared.shards import Shard

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
    slices: list[str] = []
    """Columns by whose values the evaluation is broken down."""
    shards: list[Shard]
    assignment: Shard | None
    """Parquet with one ``split`` value a row, in the order of the shards; null where the data have
    a split column."""
    split_column: str
    split_seed: int | None
    rows: dict[SplitName, int]
    digest: str
    """SHA-256 over the content hashes of shards, the split, columns, input and classes, without
    slices, which no model learns from."""

    @property
    def meaningful(self) -> list[str]:
        """The columns behind ids, labels and features."""
        features = self.input.columns if self.input.kind == "tabular" else [self.input.column]
        ids = [] if self.id == POSITION else [self.id]
        return [*ids, self.label, *features]
