"""What a row is to a model: columns of a table, an image, or a text.

Models take rows as float32 of :attr:`shape`, raw: numbers as they are (NaN where one is missing),
the code of a category, the values of an image, the ids of tokens. All else is part of the model.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from components.shared.recipe.base import PositiveInt, Spec, repeated
from components.shared.recipe.columns import (
    CategoricalColumn,
    Column,
    ColumnSpec,
    MissingPolicy,
    NumericColumn,
)
from components.shared.recipe.tokenizers import FileTokenizer, TokenizerSpec

_SHOWN = 8


@lru_cache(maxsize=4096)
def _numeric(name: str, missing: MissingPolicy) -> NumericColumn:
    """Frozen, so that one serves all; readers ask for each column of each block."""
    return NumericColumn(name=name, missing=missing)


class TabularInput(Spec):
    """Columns of numbers and categories, one value a row each."""

    kind: Literal["tabular"] = "tabular"
    columns: Annotated[list[ColumnSpec], Field(min_length=1)]
    """Feature columns, in the order in which the model takes them: a name for a column of numbers,
    ``{name: …, missing: …}`` for one with a policy of its own, ``{name: …, kind: categorical}`` for
    one of names."""
    missing: MissingPolicy = "error"
    """What is done about missing numbers (null or NaN): ``error`` (the data are refused), ``zero``,
    ``mean`` (of the training rows), or ``indicator`` (the mean, and a further 0/1 input that
    tells)."""

    @field_validator("columns")
    @classmethod
    def _unique(cls, columns: list[ColumnSpec]) -> list[ColumnSpec]:
        names = (column if isinstance(column, str) else column.name for column in columns)
        if (twice := repeated(names)) is not None:
            raise ValueError(f"column {twice!r} is listed more than once")
        return columns

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Digests are over this: what was not there in earlier versions is left out by default."""
        fields: dict[str, Any] = handler(self)
        if self.missing == "error":
            fields.pop("missing", None)
        return fields

    @property
    def parts(self) -> list[Column]:
        """The columns, each with the policy that holds for it."""
        return [self._part(column) for column in self.columns]

    def _part(self, column: str | Column) -> Column:
        if isinstance(column, CategoricalColumn):
            return column
        if isinstance(column, str):
            return _numeric(column, self.missing)
        return column if column.missing is not None else _numeric(column.name, self.missing)

    @property
    def plain(self) -> bool:
        """Whether there are only numbers, none of which may be missing."""
        return all(part.kind == "numeric" and part.missing == "error" for part in self.parts)

    @property
    def names(self) -> list[str]:
        """The columns of the data that it is read from."""
        return [part.name for part in self.parts]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as the model sees it."""
        return (len(self.columns),)

    def with_categories(self, found: Mapping[str, list[str]]) -> "TabularInput":
        """The same input with categories for the columns that have none yet."""
        return self.model_copy(
            update={
                "columns": [
                    column.model_copy(update={"categories": found[column.name]})
                    if isinstance(column, CategoricalColumn) and column.name in found
                    else column
                    for column in self.columns
                ]
            }
        )

    def difference(self, other: "InputSpec") -> str | None:
        """How rows of this input differ from those of ``other``, if they do."""
        if not isinstance(other, TabularInput):
            return f"it takes {self.in_words}, not {other.in_words}"
        if self.names != other.names:
            return f"it takes {self.in_words}, in this order, not {other.in_words}"
        for mine, others in zip(self.parts, other.parts, strict=True):
            if mine != others:
                return f"it takes {_described(mine)}, not {_described(others)}"
        return None

    @property
    def in_words(self) -> str:
        """What a row is."""
        return f"the columns {', '.join(self.names)}"


class ImageInput(Spec):
    """Images of one fixed size, as encoded bytes (PNG, JPEG, …) or as a flat list of numbers."""

    kind: Literal["image"]
    column: str = "image"
    """The column that holds the image."""
    size: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    """Channels (1 or 3 for encoded images), height and width."""

    @property
    def names(self) -> list[str]:
        """The columns of the data that it is read from."""
        return [self.column]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as the model sees it: channels, height, width."""
        return tuple(self.size)

    def difference(self, other: "InputSpec") -> str | None:
        """How rows of this input differ from those of ``other``, if they do."""
        if isinstance(other, ImageInput) and self.size == other.size:
            return None
        return f"it takes {self.in_words}, not {other.in_words}"

    @property
    def in_words(self) -> str:
        """What a row is."""
        return f"images of size {self.size}"


class TextInput(Spec):
    """Text, which is cut into tokens once, when the data set is resolved."""

    kind: Literal["text"]
    column: str = "text"
    """The column that holds the text."""
    tokenizer: TokenizerSpec
    """What cuts it into tokens: ``{kind: hash}``, which is built in, or ``{kind: file, uri: …}``, a
    ``tokenizer.json``."""
    length: Annotated[int, Field(gt=0, le=8192)] = 128
    """Tokens of a row that the model sees: the first ones; shorter texts are padded."""

    @property
    def names(self) -> list[str]:
        """The columns of the data that it is read from."""
        return [self.column]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as the model sees it: token ids, 0 for padding."""
        return (self.length,)

    def difference(self, other: "InputSpec") -> str | None:
        """How rows of this input differ from those of ``other``, if they do."""
        if (
            isinstance(other, TextInput)
            and self.length == other.length
            and _identity(self.tokenizer) == _identity(other.tokenizer)
        ):
            return None
        return f"it takes {self.in_words}, not {other.in_words}"

    @property
    def in_words(self) -> str:
        """What a row is."""
        tokenizer = self.tokenizer
        if tokenizer.kind == "hash":
            how = f"the hash tokenizer (ngrams {tokenizer.ngrams}, buckets {tokenizer.buckets})"
        else:
            how = f"the tokenizer {tokenizer.uri} (SHA-256 {(tokenizer.sha256 or '')[:12]})"
        return f"texts of up to {self.length} tokens of {how}"


InputSpec = Annotated[TabularInput | ImageInput | TextInput, Field(discriminator="kind")]


def files_of(spec: InputSpec) -> list[str]:
    """Names of the files that the input of a resolved data set needs, beside the manifest there and
    in a registered version: a tokenizer's."""
    if isinstance(spec, TextInput) and isinstance(spec.tokenizer, FileTokenizer):
        return [spec.tokenizer.uri]
    return []


def _identity(tokenizer: TokenizerSpec) -> object:
    """What decides the ids; where the file lies does not."""
    return tokenizer.sha256 if isinstance(tokenizer, FileTokenizer) else tokenizer


def _described(column: Column) -> str:
    if isinstance(column, NumericColumn):
        return f"{column.name} as a number (missing: {column.missing})"
    known = column.categories or []
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return f"{column.name} as one of {len(known)} categories ({shown}; unknown: {column.unknown})"
