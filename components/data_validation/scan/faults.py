"""What is wrong with single rows of a block, apart from all other rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from components.data_validation.features import Features, Mask
from components.data_validation.scan.labels import FOREIGN, NONE, Labels
from components.shared.dataset import SPLITS
from components.shared.recipe import ValidationSpec

RowFault = Literal[
    "missing",
    "nan",
    "infinite",
    "unknown_category",
    "unreadable",
    "below",
    "above",
    "missing_id",
    "missing_label",
    "unknown_label",
]
HELPERS = {
    "missing": "missing_in",
    "nan": "nan_in",
    "infinite": "infinite_in",
    "unknown_category": "unknown_in",
    "unreadable": "unreadable",
}
"""Where the frame that Great Expectations sees says which columns of a row have a fault."""
_SHOWN = 3


@dataclass(frozen=True)
class Fault:
    """Rows of a block with one fault in one column."""

    name: RowFault
    column: str | None
    """Null where the fault is not one of feature columns."""
    rows: Mask
    """Shape (rows,)."""


@dataclass(frozen=True)
class Limits:
    """The least and the greatest value that a feature may have, as 32-bit floats like features:
    what is written as 0.01 in the recipe and in the data is the same number."""

    least: float | None
    greatest: float | None

    @classmethod
    def of(cls, spec: ValidationSpec) -> "Limits":
        """Those of a recipe; one that is beyond 32-bit floats is the last of them."""
        return cls(_as_feature(spec.min_value), _as_feature(spec.max_value))


def _as_feature(value: float | None) -> float | None:
    last = float(np.finfo(np.float32).max)
    return None if value is None else float(np.float32(min(max(value, -last), last)))


@dataclass(frozen=True)
class Extremes:
    """Smallest and largest finite feature values of a block."""

    low: npt.NDArray[np.float32]
    """Shape (rows, values); infinity where a value is not to be looked at."""
    high: npt.NDArray[np.float32]
    lowest: npt.NDArray[np.float32]
    """By value of a row, shape (values,)."""
    highest: npt.NDArray[np.float32]


def extremes(features: Features) -> Extremes:
    """Of a block with a row at least."""
    low, high = features.ranges()
    return Extremes(low, high, low.min(axis=0), high.max(axis=0))


def row_faults(
    features: Features,
    found: Extremes,
    without_id: Mask,
    labels: Labels,
    splits: npt.NDArray[np.int64],
    limits: Limits,
) -> Iterator[Fault]:
    """Everything that is wrong with single rows of a block, at least one row each.

    Args:
        features: of the block.
        found: their extremes.
        without_id: rows that have no id, shape (rows,).
        labels: of the rows.
        splits: positions of the rows' splits in ``SPLITS``, shape (rows,).
        limits: of the features.
    """
    for name, column, rows in features.faults():
        yield Fault(name, column, rows)
    if features.unreadable:
        yield Fault("unreadable", None, _at(features.unreadable, len(splits)))
    if limits.least is not None and (found.lowest < limits.least).any():
        yield Fault("below", None, np.asarray((found.low < limits.least).any(axis=1)))
    if limits.greatest is not None and (found.highest > limits.greatest).any():
        yield Fault("above", None, np.asarray((found.high > limits.greatest).any(axis=1)))
    if without_id.any():
        yield Fault("missing_id", None, without_id)
    judged = splits != SPLITS.index("unlabelled")
    for label_fault, code in (("missing_label", NONE), ("unknown_label", FOREIGN)):
        rows = judged & (labels.codes == code)
        if rows.any():
            yield Fault(label_fault, None, rows)  # type: ignore[arg-type]


def notes(row: int, faults: list[Fault], features: Features) -> dict[str, str]:
    """What is wrong with the features of a row, by helper column."""
    columns: dict[str, list[str]] = {}
    for fault in faults:
        if fault.column is not None and fault.rows[row]:
            columns.setdefault(HELPERS[fault.name], []).append(fault.column)
    said = {}
    for helper, names in columns.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        said[helper] = ", ".join(names[:_SHOWN]) + more
    if row in features.unreadable:
        said[HELPERS["unreadable"]] = features.unreadable[row]
    return said


def _at(rows: dict[int, str], count: int) -> Mask:
    mask = np.zeros(count, bool)
    mask[list(rows)] = True
    return mask
