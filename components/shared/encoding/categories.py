"""Categories and their codes."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.lookup import look_up
from components.shared.manifest import label_name

Codes = npt.NDArray[np.float32]


def category_codes(column: pa.ChunkedArray, categories: list[str]) -> Codes:
    """The code of each row's category.

    Args:
        column: text, whole numbers (also as floats) or true/false, plain or as a dictionary.
        categories: the names, in the order of their codes.

    Returns:
        Shape (rows,): 0, 1, … for the categories, their number for any other, NaN where the value
        is missing (null or NaN).
    """
    index = {name: code for code, name in enumerate(categories)}

    def code(value: object) -> float:
        name = label_name(value)
        return np.nan if name is None else index.get(name, len(categories))

    return look_up(column, code, np.float32)


def unknown_categories(codes: Codes, categories: list[str]) -> npt.NDArray[np.bool_]:
    """Which rows have a category that is none of those, shape (rows,)."""
    found: npt.NDArray[np.bool_] = codes == len(categories)
    return found


def distinct_categories(column: pa.ChunkedArray) -> set[str]:
    """The names that occur in a row; a dictionary may have more."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    names = {label_name(value) for value in pc.unique(column).to_pylist()}
    return {name for name in names if name is not None}
