"""Columns of lists of one length: the values of images, the ids of tokens."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.encoding.faults import BadValue


def read_lists(column: pa.ChunkedArray, length: int, what: str, expected: str) -> npt.NDArray[Any]:
    """The values of all lists, in the data's own type.

    Args:
        column: lists or fixed-size lists of numbers.
        length: of each of them.
        what: what a list is called in an error.
        expected: what asks for that length, in an error.

    Returns:
        Shape (rows, length).

    Raises:
        BadValue: a list is null, or of another length.
    """
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    if (lengths != length).any():
        row = int(np.argmax(lengths != length))
        raise BadValue(what, row, f"has {lengths[row]} values, but {expected} needs {length}")
    values: npt.NDArray[Any] = pc.list_flatten(column).to_numpy()
    return values.reshape(-1, length)
