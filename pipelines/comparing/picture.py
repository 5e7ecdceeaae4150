"""The picture of a comparison: the accuracy of every method, its interval, and each seed's."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.charts import (
    Frame,
    Scale,
    axes,
    chart,
    line,
    marker,
    tag,
    text,
)
from components.shared.formatting import percent, short
from pipelines.comparing.records import Contender, MethodComparison
from pipelines.comparing.table import share, title

_BOTTOM = 46.0
_TOP = 16.0
_LETTER = 8.2
"""Width of one, at most, on the average of a name."""
_LOOKS = {"method": "student"}
"""Colour and shape, where they are not those of the arm."""


@dataclass(frozen=True)
class Layout:
    """Where names and lines go; letters keep their size only at about the width of the drawing."""

    name: str
    width: float
    left: float
    """Least room for the names; none where they stand above their lines."""
    line: float
    """Height of a contender."""
    ticks: int


WIDE = Layout("wide", 760, 190, 44, 6)
NARROW = Layout("narrow", 350, 12, 66, 3)


def picture(comparison: MethodComparison, layout: Layout) -> Markup:
    """One line for each contender, from the lowest mean to the highest.

    Args:
        comparison: what is drawn.
        layout: for which width.
    """
    contenders = sorted(comparison.contenders, key=lambda one: one.accuracy.mean)
    height = _TOP + layout.line * len(contenders) + _BOTTOM
    left = layout.left
    if layout is WIDE:
        left = max(left, 20 + _LETTER * max(len(title(one)) for one in contenders))
    frame = Frame(width=layout.width, height=height, top=_TOP, right=24, bottom=_BOTTOM, left=left)
    x = Scale(_domain(contenders), frame.x_range)
    y = Scale((0.0, float(len(contenders))), (height - _BOTTOM, _TOP))
    bare = Scale((0.0, 1.0), frame.y_range)
    body = [
        axes(frame, x, bare, lambda value: short(percent(value)), lambda _: "", (layout.ticks, 0)),
        text(frame.width - frame.right, height - 6, "accuracy", "axis-title", "end"),
        *(_contender(one, x, y(place + 0.5), layout) for place, one in enumerate(contenders)),
    ]
    best = contenders[-1]
    description = (
        f"From {title(contenders[0])} at {share(contenders[0].accuracy)} to {title(best)} at "
        f"{share(best.accuracy)}."
    )
    return chart(frame, f"methods-{layout.name}", "Accuracy by method", description, body)


def _contender(one: Contender, x: Scale, y: float, layout: Layout) -> Markup:
    look = _LOOKS.get(one.kind, one.kind)
    accuracy = one.accuracy
    place = (x.range[0] - 14, y + 4, "end") if layout is WIDE else (x.range[0], y - 26, "start")
    parts = [text(*place[:2], title(one), f"arm-title halo arm-{look}", place[2])]
    if ends := _ends(one):
        parts.append(line(x(ends[0]), y, x(ends[1]), y, f"whisker arm-{look}"))
    parts += [
        tag("circle", cx=x(value), cy=y + 13, r=2.6, class_=f"seed arm-{look}")
        for value in accuracy.values
    ]
    parts += [
        marker(look, x(accuracy.mean), y),
        text(x(accuracy.mean), y - 11, percent(accuracy.mean), "arm-figure halo", "middle"),
    ]
    return Markup("").join(parts)


def _domain(contenders: Sequence[Contender]) -> tuple[float, float]:
    """All seeds and intervals, with a margin."""
    values = [value for one in contenders for value in one.accuracy.values]
    values += [end for one in contenders for end in _ends(one)]
    low, high = min(values), max(values)
    margin = max(0.08 * (high - low), 0.005)
    return low - margin, high + margin


def _ends(one: Contender) -> tuple[float, ...]:
    """Of the interval, as far as there are such accuracies; none of one seed."""
    interval = one.accuracy.interval
    return () if interval is None else (max(interval.lower, 0.0), min(interval.upper, 1.0))
