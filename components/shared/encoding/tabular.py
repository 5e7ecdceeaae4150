"""Columns of a table: numbers as they are, categories as their codes."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.encoding.categories import category_codes, unknown_categories
from components.shared.encoding.faults import BadValue
from components.shared.recipe.columns import CategoricalColumn, Column
from components.shared.recipe.inputs import TabularInput

_SHOWN = 5
_ROWS_AT_ONCE = 4096
"""Rows that are transposed at a time: they stay in the processor's cache until all columns are."""


def read_columns(table: pa.Table, spec: TabularInput) -> npt.NDArray[np.float32]:
    """Raw values, shape (rows, columns); NaN where one is missing.

    Raises:
        BadValue: a category is unknown, and the recipe has that for an error.
    """
    inputs = np.empty((table.num_rows, len(spec.columns)), np.float32)
    columns = [read_column(table.column(part.name), part) for part in spec.parts]
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        for position, column in enumerate(columns):
            inputs[rows, position] = column[rows]
    return inputs


def read_column(column: pa.ChunkedArray, part: Column) -> npt.NDArray[np.float32]:
    """Raw values of one column, shape (rows,); NaN where one is missing.

    Raises:
        BadValue: a category is unknown, and the recipe has that for an error.
    """
    if not isinstance(part, CategoricalColumn):
        numbers: npt.NDArray[np.float32] = column.to_numpy(zero_copy_only=False)
        return numbers
    codes = category_codes(column, part.settled)
    if part.unknown == "error":
        unknown = unknown_categories(codes, part.settled)
        if unknown.any():
            row = int(unknown.argmax())
            raise BadValue(part.name, row, *unknown_words(column[row].as_py(), part))
    return codes


def unknown_words(value: object, part: CategoricalColumn) -> tuple[str, str]:
    """What is wrong with a category that is not known, and what to do; with its name and without
    any."""
    known = part.settled
    shown = ", ".join(known[:_SHOWN]) + (
        f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    )
    advice = "add it to them, or set unknown: other"
    return (
        f"is {value!r}, which is not one of its categories {shown}; {advice}",
        f"has a value that is not one of its categories; {advice}",
    )
