"""Expectations of whole columns: figures are merged over batches, and judged at the end."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.recipe.expectations import (
    ColumnExpectation,
    DistinctContain,
    DistinctCount,
    DistinctEqual,
    DistinctInSet,
    Maximum,
    Mean,
    Minimum,
    StandardDeviation,
    Sum,
)

MOST_DISTINCT = 10_000
"""Different values of a column that are remembered."""
_OF_VALUES = (DistinctContain, DistinctCount, DistinctEqual, DistinctInSet)


@dataclass
class Figures:
    """Of one column, over all batches so far."""

    spec: ColumnExpectation
    values: int = 0
    """How many there are."""
    mean: float = 0.0
    squares: float = 0.0
    """Sum of the squared differences from the mean."""
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf
    distinct: dict[Any, None] = field(default_factory=dict)
    """Not more than one over ``MOST_DISTINCT``."""

    def add(self, column: pa.ChunkedArray) -> None:
        """Merge the values of a batch; missing ones (null, NaN) do not count."""
        if isinstance(self.spec, _OF_VALUES):
            self._add_distinct(column)
            return
        numbers: npt.NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy()
        numbers = numbers[~np.isnan(numbers)]
        if not len(numbers):
            return
        # Chan, Golub and LeVeque, "Updating formulae", 1979, equation 1.5.
        count, mean = len(numbers), float(numbers.mean())
        together = self.values + count
        difference = mean - self.mean
        self.squares += float(((numbers - mean) ** 2).sum())
        self.squares += difference**2 * self.values * count / together
        self.mean += difference * count / together
        self.values = together
        self.total += float(numbers.sum())
        self.least = min(self.least, float(numbers.min()))
        self.most = max(self.most, float(numbers.max()))

    @property
    def too_many(self) -> bool:
        """Whether there are more different values than can be remembered."""
        return len(self.distinct) > MOST_DISTINCT

    def frame(self) -> pd.DataFrame:
        """A frame of a few rows with the same figure as the whole column."""
        match self.spec:
            case Minimum():
                values = [self.least]
            case Maximum():
                values = [self.most]
            case Mean():
                values = [self.mean]
            case Sum():
                values = [self.total]
            case StandardDeviation():
                values = self._two_values()
            case _:
                values = list(self.distinct)
        return pd.DataFrame({self.spec.column: values if self.values else []})

    def _two_values(self) -> list[float]:
        """Two numbers with the same sample standard deviation; one where there is none."""
        if self.values < 2:
            return [self.mean]
        half = np.sqrt(self.squares / (self.values - 1) / 2)
        return [self.mean - half, self.mean + half]

    def _add_distinct(self, column: pa.ChunkedArray) -> None:
        values = column.cast(column.type.value_type) if _is_dictionary(column) else column
        values = values.drop_null()
        if pa.types.is_floating(values.type):
            values = values.filter(pc.invert(pc.is_nan(values)))
        self.values += len(values)
        if self.too_many:
            return
        for value in pc.unique(values).to_pylist():
            self.distinct[value] = None
            if self.too_many:
                return


def _is_dictionary(column: pa.ChunkedArray) -> bool:
    found: bool = pa.types.is_dictionary(column.type)
    return found
