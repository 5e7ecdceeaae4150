"""Slices: test rows by the values of one column, found in a pass over that column alone.

Text, true/false and columns of few different whole numbers are sliced by value, other numbers into
quarters of the rows. What is kept while looking does not grow with the rows.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.dataset import Dataset

MOST_VALUES = 20
"""Slices by value; the rows of all other values are together in ``other``."""
OTHER = "other"
MISSING = "missing"
_DIFFERENT = 10_000
"""Different values that are counted at once; beyond, rare ones may be lost."""
_SAMPLE = 100_000
"""Numbers that quartiles are taken from; up to so many rows they are exact."""

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ByValue:
    """Slices by value; then ``other``, then ``missing``."""

    column: str
    values: list[str]

    @property
    def names(self) -> list[str]:
        """Name of each slice; some may have no row."""
        reserved = (OTHER, MISSING)
        shown = [f"'{value}'" if value in reserved else value for value in self.values]
        return [*shown, OTHER, MISSING]

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """The slice of each row, shape (rows,)."""
        texts = _texts(column)
        found = pc.index_in(texts, value_set=pa.array(self.values, pa.string()))
        other = found.cast(pa.int64()).fill_null(len(self.values))
        missing = len(self.values) + 1
        codes: Codes = pc.if_else(texts.is_null(), missing, other).to_numpy()
        return codes


@dataclass(frozen=True)
class ByRange:
    """Slices by ranges of numbers; then ``missing``."""

    column: str
    least: float
    edges: list[float]
    """The largest number of each range, rising."""

    @property
    def names(self) -> list[str]:
        """Name of each slice; some may have no row."""
        least, *texts = _distinct_texts([self.least, *self.edges])
        first, rest = texts[0], itertools.pairwise(texts)
        lowest = first if least == first else f"{least} to {first}"
        return [lowest, *(f"above {low} to {high}" for low, high in rest), MISSING]

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """The slice of each row, shape (rows,)."""
        numbers = _numbers(column)
        codes = np.searchsorted(self.edges[:-1], numbers, side="left")
        return np.where(np.isnan(numbers), len(self.edges), codes)


Slicing = ByValue | ByRange


def find_slices(dataset: Dataset) -> list[Slicing]:
    """Look at the slice columns of the test rows and divide each.

    Raises:
        UserError: a shard is gone, damaged, or no longer has the content that was resolved.
    """
    columns = dataset.manifest.slices
    if not columns:
        return []
    looks = [_Look(name, dataset.manifest.rows["test"]) for name in columns]
    for table in dataset.values("test", columns):
        for look in looks:
            look.update(table.column(look.column))
    return [look.slicing() for look in looks]


class _Look:
    """What is kept of one column while its rows go by."""

    def __init__(self, column: str, rows: int) -> None:
        self.column = column
        self._share = min(1.0, _SAMPLE / max(rows, 1))
        self._counts: Counter[str] = Counter()
        self._whole = True
        self._least, self._most = np.inf, -np.inf
        self._first: list[npt.NDArray[np.float64]] = []
        self._drawn: list[npt.NDArray[np.float64]] = []
        self._present = 0

    def update(self, column: pa.ChunkedArray) -> None:
        """See some rows."""
        numeric = _is_numeric(column.type)
        if numeric:
            self._see_numbers(_numbers(column))
        if not numeric or (self._whole and len(self._counts) <= MOST_VALUES):
            found = _texts(column).drop_null().value_counts()
            counted = zip(*(field.to_pylist() for field in found.flatten()), strict=True)
            self._counts.update(dict(counted))
            self._forget()

    def slicing(self) -> Slicing:
        """How the column is divided."""
        few = self._whole and len(self._counts) <= MOST_VALUES
        sample = self._values()
        if few or not sample.size:
            # By rows, then by name, so that the order of the rows does not matter.
            ranked = sorted(self._counts, key=lambda value: (-self._counts[value], value))
            return ByValue(self.column, ranked[:MOST_VALUES])
        quartiles = np.quantile(sample, [0.25, 0.5, 0.75], method="lower")
        edges = np.unique(quartiles[quartiles < self._most]).tolist()
        return ByRange(self.column, float(self._least), [*edges, float(self._most)])

    def _values(self) -> npt.NDArray[np.float64]:
        """All values where they are few, else a sample of them."""
        kept = self._drawn if self._present > _SAMPLE else self._first
        return np.concatenate(kept) if kept else np.empty(0)

    def _see_numbers(self, numbers: npt.NDArray[np.float64]) -> None:
        present = numbers[~np.isnan(numbers)]
        if self._present < _SAMPLE:
            self._first.append(present[: _SAMPLE - self._present])
        self._drawn.append(present[_drawn(self._present, len(present), self._share)])
        self._present += len(present)
        whole = np.isfinite(present) & (present == np.floor(present))
        self._whole &= bool(whole.all())
        self._least = min(self._least, present.min(initial=np.inf))
        self._most = max(self._most, present.max(initial=-np.inf))

    def _forget(self) -> None:
        """Keep the most frequent values (Misra and Gries; merging after Agarwal et al., PODS 2012):
        no count is too low by more than the rows seen over the values kept."""
        if len(self._counts) > _DIFFERENT:
            cut = self._counts.most_common(_DIFFERENT + 1)[-1][1]
            self._counts = Counter(
                {value: count - cut for value, count in self._counts.items() if count > cut}
            )


def _drawn(first: int, rows: int, share: float) -> npt.NDArray[np.bool_]:
    """A share of the rows, drawn by a hash of their positions (the finaliser of SplitMix64)."""
    mixed: npt.NDArray[np.uint64] = np.arange(first + 1, first + rows + 1, dtype=np.uint64)
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64 <= share


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _is_numeric(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """As floats, NaN where a value is missing."""
    floats = pc.cast(_plain(column), pa.float64(), safe=False)
    numbers: npt.NDArray[np.float64] = floats.to_numpy(zero_copy_only=False)
    return numbers


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As text, null where a value is missing; whole numbers without ``.0``."""
    plain = _plain(column)
    if pa.types.is_floating(plain.type):
        floats = pc.cast(plain, pa.float64())
        present = pc.if_else(pc.is_nan(floats), pa.scalar(None, pa.float64()), floats)
        plain = pc.cast(present, pa.int64(), safe=False)
    return pc.cast(plain, pa.string())


def _distinct_texts(numbers: Iterable[float]) -> list[str]:
    """Numbers as text, with as few digits as tell them apart."""
    values = list(numbers)
    if all(value.is_integer() and abs(value) < 1e15 for value in values):
        return [f"{value:.0f}" for value in values]
    different = len(set(values))
    texts = ([f"{value:.{digits}g}" for value in values] for digits in (4, 6, 9, 17))
    return next(found for found in texts if len(set(found)) == different)
