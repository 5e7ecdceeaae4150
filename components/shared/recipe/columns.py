"""The columns of a table: numbers and categories, and what stands for a missing value."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from components.shared.recipe.base import Names, Spec, repeated

MissingPolicy = Literal["error", "zero", "mean", "indicator"]
"""What is done about a number that is missing (null or NaN). ``error``: the data are refused;
``zero``: 0 stands for it; ``mean``: the mean of the training rows does; ``indicator``: the mean
does, and a further 0/1 input tells that it was missing."""


class NumericColumn(Spec):
    """A column of numbers."""

    name: str
    kind: Literal["numeric"] = "numeric"
    missing: MissingPolicy | None = None
    """What is done about missing values: ``error`` (the data are refused), ``zero``, ``mean`` (of
    the training rows), or ``indicator`` (the mean, and a further 0/1 input that tells); by default
    as ``data.input.missing`` says."""


class CategoricalColumn(Spec):
    """A column of names: text, whole numbers or true/false. A missing value is a category too."""

    name: str
    kind: Literal["categorical"]
    categories: Annotated[Names, Field(min_length=1)] | None = None
    """The names, in the order of their codes 0, 1, …; by default those of the training rows,
    sorted. Name them to keep the codes the same when the data change."""
    unknown: Literal["other", "error"] = "other"
    """What a name is that is not among the categories: one category ``other``, the same for all of
    them, or an error."""

    @field_validator("categories")
    @classmethod
    def _each_once(cls, categories: list[str] | None) -> list[str] | None:
        if (twice := repeated(categories or [])) is not None:
            raise ValueError(f"category {twice!r} is listed more than once")
        return categories

    @property
    def settled(self) -> list[str]:
        """The categories of a column of a resolved data set, where they are always known.

        Raises:
            ValueError: they are not, since the data set was not resolved yet.
        """
        if self.categories is None:
            raise ValueError(f"the categories of {self.name!r} are found when data are resolved")
        return self.categories


def _kind(column: Any) -> str | None:
    if isinstance(column, str):
        return "plain"
    if isinstance(column, dict):
        return str(column.get("kind", "numeric"))
    return getattr(column, "kind", None)


Column = NumericColumn | CategoricalColumn
ColumnSpec = Annotated[
    Annotated[str, Tag("plain")]
    | Annotated[NumericColumn, Tag("numeric")]
    | Annotated[CategoricalColumn, Tag("categorical")],
    Discriminator(
        _kind,
        custom_error_type="column_kind",
        custom_error_message="should be the name of a numeric column, {name: …, missing: …}, or "
        "{name: …, kind: categorical}",
    ),
]
"""A column of the recipe; a plain name is a column of numbers."""
