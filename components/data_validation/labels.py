"""The label of every row, by its name."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data_validation.sources import Source
from components.shared.errors import UserError
from components.shared.lookup import look_up
from components.shared.manifest import label_name

_BROKEN = -2


class Labels(NamedTuple):
    """The label of every row."""

    names: list[str]
    """Different names, each of which some row may have."""
    numbers: npt.NDArray[np.int32]
    """Place of each row's label among the names, shape (rows,); -1 where there is none."""

    def occurring(self, rows: npt.NDArray[np.bool_] | None = None) -> set[str]:
        """The names that some of the rows, by default all, have."""
        numbers = self.numbers if rows is None else self.numbers[rows]
        counts = np.bincount(numbers + 1, minlength=len(self.names) + 1)[1:]
        return {name for name, count in zip(self.names, counts, strict=True) if count}


def read_labels(source: Source, column: str) -> Labels:
    """The labels of all rows of a source.

    Raises:
        UserError: one is a number, but not a whole one; names file and row.
    """
    places: dict[str, int] = {}

    def place(value: object) -> int:
        if isinstance(value, float) and not (np.isnan(value) or value.is_integer()):
            return _BROKEN
        name = label_name(value)
        return -1 if name is None else places.setdefault(name, len(places))

    values: pa.ChunkedArray = source.table.column(column)
    numbers = look_up(values, place, np.int32)
    broken = numbers == _BROKEN
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{source.where(row)}: the label column {column!r} has the value {values[row]}, but "
            "classes are names or whole numbers"
        )
    return Labels(list(places), numbers)
