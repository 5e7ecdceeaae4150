"""The chart of a difference with its bounds, zero, and the margin that it has to keep."""

import math

from markupsafe import Markup

from components.evaluation.reporting.charts import Frame, Scale, chart, line, marker, tag, text
from components.evaluation.reporting.statements import Comparison
from components.shared.formatting import points, short

_FRAME = Frame(width=420, height=196, top=44, right=16, bottom=46, left=16)
_CHARACTER = 6.6
"""Generous width of a character, since the font is the reader's."""


def interval_plot(
    comparison: Comparison, margin: float | None, student: str, champion: str
) -> Markup:
    """Draw difference, bounds, zero and margin on one line.

    Args:
        comparison: difference of two accuracies with its bounds.
        margin: largest drop that is tolerated, as a fraction; null where no gate asks.
        student: how the student is called.
        champion: how the champion is called.

    Returns:
        An SVG element; empty where a figure is not finite.
    """
    figures = [comparison.lower, comparison.difference, comparison.upper, 0.0]
    figures += [] if margin is None else [-margin]
    if not all(map(math.isfinite, figures)):
        return Markup("")
    room = max(0.14 * (max(figures) - min(figures)), 0.001)
    x = Scale((min(figures) - room, max(figures) + room), _FRAME.x_range)
    floor, ceiling = _FRAME.y_range
    middle = (floor + ceiling) / 2
    body = [] if margin is None else _margin(x, margin)
    body += [line(x(0), ceiling, x(0), floor, "axis")]
    body += [_label(x(0), 14, "as good as the champion", "axis-title")]
    for value in x.ticks(5):
        body.append(line(x(value), floor, x(value), floor + 5, "axis"))
        words = short(points(value, 2, unit=""))
        body.append(text(x(value), floor + 19, words, "tick", "middle"))
    bound = f"lower bound {points(comparison.lower, 2, '')}"
    lower, upper, difference = x(comparison.lower), x(comparison.upper), x(comparison.difference)
    body += [
        line(_FRAME.left, floor, _FRAME.width - _FRAME.right, floor, "axis"),
        text(_FRAME.width - _FRAME.right, floor + 38, "difference in points", "axis-title", "end"),
        line(lower, middle, upper, middle, "span arm-student"),
        line(lower, middle - 9, lower, middle + 9, "span arm-student"),
        line(upper, middle - 5, upper, middle + 5, "span arm-student"),
        marker("student", difference, middle, 7),
        _label(difference, middle - 18, points(comparison.difference, 2), "arm-title arm-student"),
        _label(lower, middle + 30, bound, "arm-figure", "start"),
    ]
    limit = "" if margin is None else f", margin {points(-margin, 2)}"
    description = (
        f"Accuracy of {student} less that of {champion}: {points(comparison.difference, 2)}, "
        f"bounds {points(comparison.lower, 2)} and {points(comparison.upper, 2)}{limit}."
    )
    return chart(_FRAME, "paired", "Difference from the champion", description, body)


def _margin(x: Scale, margin: float) -> list[Markup]:
    """The margin as a line, with a tint over what it does not tolerate."""
    floor, ceiling = _FRAME.y_range
    left, at = x.range[0], x(-margin)
    return [
        tag(
            "rect",
            x=left,
            y=ceiling,
            width=max(at - left, 0.0),
            height=floor - ceiling,
            class_="forbidden",
        ),
        line(at, ceiling, at, floor, "gate"),
        _label(at, 33, f"margin {short(points(-margin, 2))}", "gate-title"),
    ]


def _label(at: float, baseline: float, words: str, class_: str, anchor: str = "middle") -> Markup:
    """Text centred on a place or starting there, moved so far that it stays inside the chart."""
    width = _CHARACTER * len(words)
    before = width / 2 if anchor == "middle" else 0.0
    inside = min(max(at, before), _FRAME.width - (width - before))
    return text(inside, baseline, words, f"{class_} halo", anchor)
