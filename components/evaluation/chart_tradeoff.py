"""The chart of accuracy against latency, with every arm and the gates that bear on the two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from components.evaluation.chart_labels import Box, Request, place
from components.evaluation.chart_limits import Limit, allowed_area, gate_lines, limits
from components.evaluation.charts import (
    Frame,
    Scale,
    axes,
    chart,
    join,
    line,
    marker,
    tag,
    text,
)
from components.evaluation.formatting import latency, percent, short
from components.shared.results import ArmName, Decision, Evaluation

WIDE = Frame(width=880, height=430, top=34, right=20, bottom=54, left=52)
NARROW = Frame(width=360, height=420, top=34, right=12, bottom=54, left=44)
_ROOM = {WIDE: (130.0, 60.0), NARROW: (36.0, 24.0)}
"""Free space left of the fastest point, for its label, and right of the slowest."""
_LEAST_DECADES = 0.5
"""Of the latency axis, so that arms of the same latency do not look far apart."""

_APART = 17.0
"""Least horizontal distance of two points."""
_FAR_LATENCY = 30.0
"""A latency gate so many times beyond the measured latencies is named at the edge instead."""
_FAR_ACCURACY = 0.2
_NAME_WIDTH, _FIGURE_WIDTH = 7.8, 7.0
"""Generous widths of a character, since the font is the reader's."""
_LABEL_HEIGHT = 32.0


@dataclass(frozen=True)
class Arm:
    """One point of the chart: accuracy with its interval, latency in milliseconds."""

    name: ArmName
    title: str
    accuracy: float
    lower: float
    upper: float
    p50: float
    p95: float


def tradeoff_chart(
    evaluation: Evaluation, decision: Decision, titles: dict[ArmName, str], frame: Frame, ident: str
) -> Markup:
    """Draw the chart.

    Args:
        evaluation: what was measured.
        decision: whose accuracy, retention and latency checks become lines.
        titles: how each arm is called.
        frame: :data:`WIDE` or :data:`NARROW`.
        ident: unique in the page.

    Returns:
        An SVG element; empty where no arm has finite figures.
    """
    arms = _arms(evaluation, titles)
    if not arms:
        return Markup("")
    least, most = limits(evaluation, decision)
    x, y = _scales(arms, least, most, frame)
    centres = spread([x(arm.p50) for arm in arms], _APART)
    description = "; ".join(
        f"{arm.title}: accuracy {percent(arm.accuracy)}, median latency {latency(arm.p50)}, "
        f"95th percentile {latency(arm.p95)}"
        for arm in arms
    )
    ticks = (int(frame.width // 80), 6)
    body = [
        allowed_area(frame, x, y, least, most),
        axes(frame, x, y, _latency_tick, lambda value: short(percent(value)), ticks),
        text(frame.left, 16, "accuracy", "axis-title"),
        text(
            frame.width - frame.right,
            frame.height - 10,
            "latency of one row, p50 to p95, log scale",
            "axis-title",
            "end",
        ),
    ]
    points, drawn = _points(arms, centres, x, y)
    lines, taken = gate_lines(frame, x, y, (least, most), drawn)
    labels = _labels(arms, centres, y, frame, [*taken, *drawn])
    body += [lines, *labels, *points]
    return chart(frame, ident, "Accuracy against latency", description, body)


def spread(positions: Sequence[float], apart: float) -> list[float]:
    """Move positions until none is closer than ``apart`` to another, their order kept."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    groups = [[index] for index in order]

    def centre(group: list[int]) -> float:
        return sum(positions[index] for index in group) / len(group)

    def crowded(left: list[int], right: list[int]) -> bool:
        room = apart * (len(left) + len(right)) / 2
        return centre(right) - centre(left) < room - 1e-9

    while clash := [k for k, (a, b) in enumerate(pairwise(groups)) if crowded(a, b)]:
        first = clash[0]
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
    moved = list(positions)
    for group in groups:
        for place_in_group, index in enumerate(group):
            moved[index] = centre(group) + apart * (place_in_group - (len(group) - 1) / 2)
    return moved


def _arms(evaluation: Evaluation, titles: dict[ArmName, str]) -> list[Arm]:
    """The student first: it gets the best place for its label."""
    order = sorted(evaluation.arms, key=lambda name: name != "student")
    arms = [
        Arm(
            name=name,
            title=titles[name],
            accuracy=result.accuracy,
            lower=result.accuracy_interval.lower,
            upper=result.accuracy_interval.upper,
            p50=result.latency_ms.p50.value,
            p95=result.latency_ms.p95.value,
        )
        for name in order
        for result in [evaluation.arms[name]]
    ]
    return [
        arm
        for arm in arms
        if all(map(math.isfinite, (arm.accuracy, arm.lower, arm.upper, arm.p50, arm.p95)))
        and min(arm.p50, arm.p95) > 0
    ]


def _latency_tick(milliseconds: float) -> str:
    return short(latency(milliseconds))


def _scales(
    arms: Sequence[Arm], least: Sequence[Limit], most: Sequence[Limit], frame: Frame
) -> tuple[Scale, Scale]:
    fastest, slowest = min(arm.p50 for arm in arms), max(arm.p95 for arm in arms)
    near = [
        limit.value
        for limit in most
        if fastest / _FAR_LATENCY <= limit.value <= slowest * _FAR_LATENCY
    ]
    low, high = min([fastest, *near]), max([slowest, *near])
    left, right = frame.x_range
    before, after = _ROOM[frame]
    share = (right - left) / (right - left - before - after)
    decades = max(math.log10(high / low), _LEAST_DECADES) * share / (right - left)
    bottom, top = min(arm.lower for arm in arms), max(arm.upper for arm in arms)
    bottom = min([bottom, *(n.value for n in least if n.value > bottom - _FAR_ACCURACY)])
    top = max([top, *(limit.value for limit in least)])
    room = max(0.08 * (top - bottom), 0.005)
    return (
        Scale(
            (low / 10 ** (before * decades), high * 10 ** (after * decades)), frame.x_range, True
        ),
        Scale((max(bottom - room, 0.0), min(top + room, 1.0 + room / 4)), frame.y_range),
    )


def _points(
    arms: Sequence[Arm], centres: Sequence[float], x: Scale, y: Scale
) -> tuple[list[Markup], list[Box]]:
    """Symbols with their bars, the student last and on top; and what they cover."""
    parts, drawn = [], []
    for arm, at in zip(reversed(arms), reversed(centres), strict=True):
        low, high, middle = y(arm.lower), y(arm.upper), y(arm.accuracy)
        end = max(at + x(arm.p95) - x(arm.p50), at)
        class_ = f"bar arm-{arm.name}"
        bars = [
            line(at, low, at, high, class_),
            line(at - 4, low, at + 4, low, class_),
            line(at - 4, high, at + 4, high, class_),
            line(at, middle, end, middle, class_),
            line(end, middle - 4, end, middle + 4, class_),
        ]
        parts.append(tag("g", *bars, marker(arm.name, at, middle), data_arm=arm.name))
        drawn += [
            Box(at - 5, high, 10, low - high),
            Box(at, middle - 4, end - at, 8),
            Box(at - 9, middle - 9, 18, 18),
        ]
    return parts, drawn


def _labels(
    arms: Sequence[Arm], centres: Sequence[float], y: Scale, frame: Frame, taken: Sequence[Box]
) -> list[Markup]:
    figures = [f"{percent(arm.accuracy)} · {latency(arm.p50)}" for arm in arms]
    requests = [
        Request(
            at,
            y(arm.accuracy),
            max(_NAME_WIDTH * len(arm.title), _FIGURE_WIDTH * len(figure)),
            _LABEL_HEIGHT,
        )
        for arm, at, figure in zip(arms, centres, figures, strict=True)
    ]
    left, right = frame.x_range
    floor, ceiling = frame.y_range
    area = Box(left + 2, ceiling + 2, right - left - 4, floor - ceiling - 4)
    parts = []
    for arm, request, box, figure in zip(
        arms, requests, place(requests, taken, area), figures, strict=True
    ):
        on_left = box.x + box.width < request.x
        anchor, at = ("end", box.x + box.width) if on_left else ("start", box.x)
        near = box.nearest(request.x, request.y)
        leader = line(request.x, request.y, *near, f"leader arm-{arm.name}")
        words = [
            text(at, box.y + 13, arm.title, f"arm-title arm-{arm.name}", anchor),
            text(at, box.y + 28, figure, "arm-figure", anchor),
        ]
        parts.append(join([leader, tag("g", *words, class_="arm-label", data_arm=arm.name)]))
    return parts
