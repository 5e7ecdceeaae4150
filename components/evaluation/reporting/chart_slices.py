"""The drawings inside a table of slices: an accuracy with its interval, all on one scale."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from components.evaluation.reporting.charts import Frame, Scale, line, marker, tag, text
from components.shared.formatting import percent, short
from components.shared.results import Estimate

_FRAME = Frame(width=260, height=26, top=3, right=22, bottom=3, left=22)


def scale(estimates: Sequence[Estimate]) -> Scale:
    """One scale for all accuracies and their intervals; it goes by the finite numbers."""
    ends = [end for one in estimates for end in (one.lower, one.upper) if math.isfinite(end)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = max(0.04 * (high - low), 0.005)
    return Scale((max(low - room, 0.0), min(high + room, 1.0)), _FRAME.x_range)


def axis(x: Scale) -> Markup:
    """The head of the column of drawings: ticks of the scale."""
    floor, _ = _FRAME.y_range
    ticks = [
        mark
        for value in x.ticks(4)
        for mark in (
            line(x(value), floor - 3, x(value), floor + 2, "axis"),
            text(x(value), floor - 8, short(percent(value)), "tick", "middle"),
        )
    ]
    return _drawing(*ticks)


def dots(x: Scale, student: Estimate, champion: Estimate | None) -> Markup:
    """The student's accuracy above the champion's; decoration, since the numbers stand beside."""
    floor, ceiling = _FRAME.y_range
    grid = [line(x(value), ceiling - 6, x(value), floor + 6, "grid") for value in x.ticks(4)]
    middle = (floor + ceiling) / 2
    shift = 0.0 if champion is None else 5.0
    parts = [] if champion is None else _dot(x, "champion", champion, middle + shift, 3.6)
    return _drawing(*grid, *parts, *_dot(x, "student", student, middle - shift, 4.6))


def _dot(x: Scale, look: str, estimate: Estimate, height: float, radius: float) -> list[Markup]:
    if not all(map(math.isfinite, (estimate.value, estimate.lower, estimate.upper))):
        return []
    bar = line(x(estimate.lower), height, x(estimate.upper), height, f"bar arm-{look}")
    return [bar, marker(look, x(estimate.value), height, radius)]


def _drawing(*parts: Markup) -> Markup:
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {_FRAME.width} {_FRAME.height}",
        class_="chart inline",
        aria_hidden="true",
    )
