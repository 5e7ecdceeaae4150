"""Columns with few different values: each of those is looked at once."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NumberT = TypeVar("NumberT", bound=np.generic)


def look_up(
    column: pa.ChunkedArray, number: Callable[[object], float], kind: type[NumberT]
) -> npt.NDArray[NumberT]:
    """A number for each row, by its value.

    Args:
        column: of any type but lists; may be a dictionary.
        number: of a value; also asked for values that are in a dictionary and in no row, and for
            ``None``, a missing value.
        kind: of the numbers.

    Returns:
        Shape (rows,).
    """
    parts = [np.zeros(0, kind)]
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        numbers = [number(value) for value in [*encoded.dictionary.to_pylist(), None]]
        places = encoded.indices
        if places.null_count:
            places = places.cast(pa.int64()).fill_null(len(numbers) - 1)
        parts.append(np.asarray(numbers, dtype=kind).take(places.to_numpy()))
    return np.concatenate(parts) if len(parts) > 2 else parts[-1]
