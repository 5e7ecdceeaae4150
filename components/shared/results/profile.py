"""What the training rows of a model looked like: later data are compared with it."""

from typing import Literal

from components.shared.results.base import Result

DATA_PROFILE = "data_profile.json"


class ColumnProfile(Result):
    """How the values of one column, or one figure of an image or text, are spread."""

    name: str
    kind: Literal["number", "category"]
    edges: list[float]
    """Ascending bounds of the parts that numbers are counted in; part i is from edge i-1, included,
    up to edge i."""
    categories: list[str]
    """The categories that are counted by themselves."""
    counts: list[int]
    """Sampled rows in each part, or of each category and then of all others."""
    missing: int
    """Sampled rows without a value."""


class DataProfile(Result):
    """Of the labelled and unlabelled rows of a data set; without values of sensitive columns."""

    format_version: Literal[1] = 1
    dataset_digest: str
    rows: int
    """Training rows."""
    sampled: int
    """How many of them, drawn at random, the columns were counted on."""
    columns: list[ColumnProfile]
    hidden: list[str]
    """Sensitive columns, of which nothing is told."""
    classes: dict[str, int]
    """Labelled rows of each class."""
