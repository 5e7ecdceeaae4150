"""Which columns a data set needs, and what may be in them."""

import difflib
from collections.abc import Iterable
from typing import Literal

import pyarrow as pa

from components.shared.errors import UserError
from components.shared.recipe import POSITION, DataSpec
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import InputSpec, TabularInput

Role = Literal[
    "id", "label", "feature", "category", "image", "text", "tokens", "split", "slice", "time"
]

TEXT = "text"
WHOLE = "whole number"
NUMBER = "number"
BOOLEAN = "true/false"
BYTES = "bytes"
NUMBERS = "list of numbers"
TIME = "time"
EMPTY = "only missing values"
OTHER = "other"

ALLOWED: dict[Role, tuple[str, ...]] = {
    "id": (TEXT, WHOLE),
    "label": (TEXT, WHOLE, NUMBER, BOOLEAN, EMPTY),
    "feature": (WHOLE, NUMBER, BOOLEAN),
    "category": (TEXT, WHOLE, NUMBER, BOOLEAN, EMPTY),
    "image": (BYTES, NUMBERS),
    "text": (TEXT,),
    "tokens": (NUMBERS,),
    "split": (TEXT, EMPTY),
    "slice": (TEXT, WHOLE, NUMBER, BOOLEAN, EMPTY),
    "time": (TIME, TEXT),
}
"""Kinds of values that a column may hold. A label of kind number has to be whole: that is what a
column of whole numbers becomes once a value is missing."""

_EXPECTED: dict[Role, str] = {
    "id": "text or whole numbers",
    "label": "class names or whole numbers",
    "feature": "numbers",
    "category": "text, whole numbers or true/false",
    "image": "encoded images (binary) or flat lists of numbers",
    "text": "text",
    "tokens": "lists of token ids",
    "split": "the words labelled, unlabelled and test",
    "slice": "text, numbers or true/false",
    "time": "timestamps, dates, or text such as 2026-11-30T12:00:00Z",
}


def kind_of(arrow_type: pa.DataType) -> str:
    """What a column of this Arrow type holds, in the words of the recipe."""
    types = pa.types
    if types.is_dictionary(arrow_type):
        return kind_of(arrow_type.value_type)
    if types.is_list(arrow_type) or types.is_large_list(arrow_type):
        return NUMBERS if kind_of(arrow_type.value_type) in (WHOLE, NUMBER) else OTHER
    if types.is_fixed_size_list(arrow_type):
        return NUMBERS if kind_of(arrow_type.value_type) in (WHOLE, NUMBER) else OTHER
    kinds = {
        TEXT: types.is_string(arrow_type) or types.is_large_string(arrow_type),
        WHOLE: types.is_integer(arrow_type),
        NUMBER: types.is_floating(arrow_type),
        BOOLEAN: types.is_boolean(arrow_type),
        BYTES: types.is_binary(arrow_type) or types.is_large_binary(arrow_type),
        TIME: types.is_timestamp(arrow_type) or types.is_date(arrow_type),
        EMPTY: types.is_null(arrow_type),
    }
    return next((kind for kind, holds in kinds.items() if holds), OTHER)


def feature_roles(given: InputSpec) -> dict[str, Role]:
    """The columns that a model sees, with what each is used for; texts are token ids already."""
    if isinstance(given, TabularInput):
        return {
            part.name: "category" if isinstance(part, CategoricalColumn) else "feature"
            for part in given.parts
        }
    return dict.fromkeys(given.names, "image" if given.kind == "image" else "tokens")


def roles_of(spec: DataSpec) -> dict[str, Role]:
    """Every column that ``spec`` reads, with what it is used for.

    A column that slices and something else use has the role of the latter.

    Raises:
        UserError: images or texts are to be sliced by.
    """
    roles = feature_roles(spec.input)
    if spec.input.kind == "text":
        roles = dict.fromkeys(spec.features, "text")
    if spec.id != POSITION:
        roles[spec.id] = "id"
    roles[spec.label] = "label"
    if spec.split.by == "column":
        roles[spec.split.column] = "split"
    for name in spec.slices:
        if roles.setdefault(name, "slice") in ("image", "text"):
            raise UserError(
                f"data.slices: {name!r} is the column of {roles[name]}s, which cannot be sliced by;"
                " name columns of text, numbers or true/false"
            )
    return roles


def tokenised_roles(spec: DataSpec) -> dict[str, Role]:
    """The same once texts have been cut into tokens."""
    return {**roles_of(spec), **feature_roles(spec.input)}


def check_columns(schema: pa.Schema, roles: dict[str, Role], where: str) -> None:
    """Check that every column is there and holds what its role needs.

    Raises:
        UserError: naming the column, what it should hold, and the nearest name if it is missing.
    """
    for name, role in roles.items():
        found = schema.names.count(name)
        if found == 0:
            raise UserError(
                f"{where}: there is no column {name!r}, which data uses as {role}; "
                f"{nearest(name, schema.names)}"
            )
        if found > 1:
            raise UserError(f"{where}: there are {found} columns called {name!r}")
        arrow_type = schema.field(name).type
        if kind_of(arrow_type) not in ALLOWED[role]:
            raise UserError(
                f"{where}: the {role} column {name!r} is of type {arrow_type}, "
                f"but should hold {_EXPECTED[role]}"
            )


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at what was probably meant by a name that is not among ``names``."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(repr(other) for other in known[:10])
    return f"there are {shown}" + (f" and {len(known) - 10} more" if len(known) > 10 else "")
