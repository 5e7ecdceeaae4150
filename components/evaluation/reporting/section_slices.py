"""The report's slices: one table a column of the data, with the champion beside the student."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.chart_slices import axis, dots, scale
from components.evaluation.reporting.charts import Scale
from components.shared.formatting import integer, percent, points
from components.shared.results import ArmResult, Estimate, SliceResult

MOST_VALUES = 25
"""A column with more values shows only its worst ones."""


@dataclass(frozen=True)
class SliceRow:
    """One value, or range of values, of a column."""

    value: str
    rows: int
    accuracy: Estimate
    champion: Estimate | None
    few: bool
    """Fewer rows than a slice needs to be judged."""
    worst: bool
    drawing: Markup


@dataclass(frozen=True)
class SliceTable:
    """One column of the data."""

    column: str
    rows: list[SliceRow]
    left_out: int
    """Values that are not shown, all of them better than those that are."""
    axis: Markup


@dataclass(frozen=True)
class Slices:
    """All columns, and what to look at first."""

    sentence: str
    tables: list[SliceTable]
    champion: bool
    """Whether any slice was measured for the champion as well."""


def slices_section(student: ArmResult, champion: ArmResult | None, min_rows: int) -> Slices | None:
    """The slices of the model that the verdict is on.

    Args:
        student: that model on the test rows.
        champion: the champion on the same rows, if there is one.
        min_rows: rows below which a slice is not judged.

    Returns:
        Null where the recipe names no column to slice by.
    """
    if not student.slices:
        return None
    beside = {(one.column, one.value): one for one in (champion.slices if champion else [])}
    worst = worst_slice(student.slices, min_rows)
    shared = scale([*_estimates(student.slices), *_estimates(beside.values())])
    tables = []
    for column in dict.fromkeys(one.column for one in student.slices):
        found = [one for one in student.slices if one.column == column]
        shown = found
        if len(found) > MOST_VALUES:
            shown = sorted(found, key=_lower)[:MOST_VALUES]
        rows = [
            _row(one, beside.get((one.column, one.value)), min_rows, worst, shared) for one in shown
        ]
        tables.append(SliceTable(column, rows, len(found) - len(shown), axis(shared)))
    return Slices(_sentence(student, worst, min_rows), tables, bool(beside))


def worst_slice(slices: Sequence[SliceResult], min_rows: int) -> SliceResult | None:
    """The slice whose accuracy may be the lowest; null where none has enough rows.

    As in the gate, the lower end of the interval decides.
    """
    enough = [one for one in slices if one.rows >= min_rows]
    return min(enough, key=_lower, default=None)


def _row(
    one: SliceResult,
    champion: SliceResult | None,
    min_rows: int,
    worst: SliceResult | None,
    shared: Scale,
) -> SliceRow:
    other = None if champion is None else champion.metrics["accuracy"]
    accuracy = one.metrics["accuracy"]
    drawing = dots(shared, accuracy, other)
    return SliceRow(
        one.value, one.rows, accuracy, other, one.rows < min_rows, one is worst, drawing
    )


def _sentence(student: ArmResult, worst: SliceResult | None, min_rows: int) -> str:
    if worst is None:
        return f"No slice has {integer(min_rows)} test rows or more: none can be judged."
    accuracy = worst.metrics["accuracy"]
    below = student.accuracy - accuracy.value
    return (
        f"The worst slice, by the lower end of its interval, is {worst.column} = {worst.value}: "
        f"{percent(accuracy.value)} of its "
        f"{integer(worst.rows)} rows are right, "
        f"{points(abs(below)).lstrip('+')} {'below' if below >= 0 else 'above'} all rows together."
    )


def _lower(one: SliceResult) -> float:
    return one.metrics["accuracy"].lower


def _estimates(slices: Iterable[SliceResult]) -> list[Estimate]:
    return [one.metrics["accuracy"] for one in slices]
