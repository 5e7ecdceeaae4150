"""The gates as lines in the chart of accuracy against latency."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.chart_labels import Box
from components.evaluation.reporting.charts import Frame, Scale, join, line, tag, text
from components.shared.formatting import latency, percent, short
from components.shared.results import Decision, Evaluation

_WIDTH, _HEIGHT = 6.4, 16.0
"""Generous width of a character, since the font is the reader's, and height of a title."""


@dataclass(frozen=True)
class Limit:
    """A gate as a line in the chart."""

    title: str
    value: float


def limits(evaluation: Evaluation, decision: Decision) -> tuple[list[Limit], list[Limit]]:
    """Least accuracies and largest latencies that the gates ask for."""
    teacher = evaluation.teacher.accuracy
    least, most = [], []
    for check in decision.checks:
        if not math.isfinite(check.threshold):
            continue
        if check.gate.startswith("gates.accuracy."):
            least.append(
                Limit(f"gate: accuracy {short(percent(check.threshold))}", check.threshold)
            )
        elif check.gate.startswith("gates.retention.") and math.isfinite(teacher):
            title = f"gate: {short(percent(check.threshold))} of the teacher"
            least.append(Limit(title, check.threshold * teacher))
        elif check.gate.endswith("_ms") and check.threshold > 0:
            percentile = check.gate.rpartition(".")[2].removesuffix("_ms")
            title = f"gate: {percentile} {short(latency(check.threshold))}"
            most.append(Limit(title, check.threshold))
    return sorted(least, key=lambda limit: limit.value), most


def allowed_area(
    frame: Frame, x: Scale, y: Scale, least: Sequence[Limit], most: Sequence[Limit]
) -> Markup:
    """A tint over the part of the chart that meets the gates."""
    bottom = y(max([y.domain[0], *(limit.value for limit in least)]))
    right = x(max(min([x.domain[1], *(limit.value for limit in most)]), x.domain[0]))
    if not (least or most) or right <= frame.left:
        return Markup("")
    return tag(
        "rect",
        x=frame.left,
        y=frame.top,
        width=right - frame.left,
        height=max(bottom - frame.top, 0.0),
        class_="allowed",
    )


def gate_lines(
    frame: Frame,
    x: Scale,
    y: Scale,
    limits: tuple[Sequence[Limit], Sequence[Limit]],
    drawn: Sequence[Box],
) -> tuple[Markup, list[Box]]:
    """Draw the limits; one that lies outside of the chart is named at its edge.

    Args:
        frame: the chart's frame.
        x: scale of the latency.
        y: scale of the accuracy.
        limits: least accuracies, and largest latencies.
        drawn: what the titles must not cover.

    Returns:
        The drawing, and what it covers.
    """
    left, right = frame.x_range
    floor, ceiling = frame.y_range
    least, most = limits
    across = [limit for limit in least if _inside(y, limit.value)]
    down = [limit for limit in most if _inside(x, limit.value)]
    lines = [Box(left, y(limit.value) - 1, right - left, 2) for limit in across]
    lines += [Box(x(limit.value) - 1, ceiling, 2, floor - ceiling) for limit in down]
    parts = [line(left, y(limit.value), right, y(limit.value), "gate") for limit in across]
    parts += [line(x(limit.value), ceiling, x(limit.value), floor, "gate") for limit in down]
    taken: list[Box] = []

    def title(words: str, corners: Sequence[tuple[float, float]]) -> None:
        """Write at the first corner (upper left) where there is room, else at the first."""
        width = _WIDTH * len(words)
        boxes = [
            Box(min(max(at_x, left), right - width), at_y, width, _HEIGHT) for at_x, at_y in corners
        ]
        blocked = [*drawn, *lines, *taken]
        free = (b for b in boxes if not any(b.overlaps(other, 0.5) for other in blocked))
        box = next(free, boxes[0])
        taken.append(box)
        parts.append(text(box.x, box.y + 12, words, "gate-title halo"))

    for limit in least:
        if limit in across:
            beside = (y(limit.value) - _HEIGHT - 3, y(limit.value) + 3)
            columns = range(int(right), int(left), -20)
            title(limit.title, [(column, row) for column in columns for row in beside])
        else:
            title(f"↓ {limit.title}", [(right, floor - 20)])
    for limit in most:
        rows = range(int(ceiling) + 2, int(floor) - 20, 18)
        if limit in down:
            at, width = x(limit.value), _WIDTH * len(limit.title)
            title(limit.title, [(side, row) for row in rows for side in (at - width - 6, at + 6)])
        elif limit.value < x.domain[0]:
            title(f"← {limit.title}", [(left + 4, row) for row in rows])
        else:
            title(f"{limit.title} →", [(right, row) for row in rows])
    return join(parts), [*taken, *lines]


def _inside(scale: Scale, value: float) -> bool:
    return scale.domain[0] <= value <= scale.domain[1]
