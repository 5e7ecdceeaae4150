"""The chart of accuracy against latency: every model, the gates that bear on the two, and the
Pareto front of the candidates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.chart_labels import Box, Request, place, spread
from components.evaluation.reporting.chart_limits import Limit, allowed_area, gate_lines
from components.evaluation.reporting.charts import (
    Frame,
    Scale,
    axes,
    chart,
    join,
    line,
    marker,
    path,
    tag,
    text,
)
from components.evaluation.reporting.listing import Model
from components.shared.formatting import latency, percent, short, size

WIDE = Frame(width=880, height=430, top=34, right=20, bottom=54, left=52)
NARROW = Frame(width=360, height=420, top=34, right=12, bottom=54, left=44)
_ROOM = {WIDE: (130.0, 60.0), NARROW: (36.0, 24.0)}
"""Free space left of the fastest point, for its label, and right of the slowest."""
_LEAST_DECADES = 0.5
"""Of the latency axis, so that models of the same latency do not look far apart."""

_APART = 17.0
"""Least horizontal distance of two points."""
_FAR_LATENCY = 10.0
"""A latency gate so many times beyond the measured latencies is named at the edge instead."""
_FAR_ACCURACY = 0.2
_NAME_WIDTH, _FIGURE_WIDTH = 7.8, 7.0
"""Generous widths of a character, since the font is the reader's."""
_LABEL_HEIGHT, _NAME_HEIGHT = 32.0, 17.0
_MOST_FIGURES = 5
"""Models up to which a narrow chart has room for figures beside the names."""


@dataclass(frozen=True)
class Point:
    """One model in the chart: accuracy with its interval, latency in milliseconds."""

    model: Model
    accuracy: float
    lower: float
    upper: float
    p50: float
    p95: float

    @property
    def words(self) -> str:
        """For those who do not see the chart."""
        return (
            f"{self.model.title}: accuracy {percent(self.accuracy)}, median latency "
            f"{latency(self.p50)}, 95th percentile {latency(self.p95)}, file "
            f"{size(self.model.result.size_bytes)}"
        )


def tradeoff_chart(
    models: Sequence[Model],
    limits: tuple[Sequence[Limit], Sequence[Limit]],
    frame: Frame,
    ident: str,
) -> Markup:
    """Draw the chart.

    Args:
        models: the most important first: it gets the best place for its label.
        limits: least accuracies and largest latencies that the gates ask for.
        frame: :data:`WIDE` or :data:`NARROW`.
        ident: unique in the page.

    Returns:
        An SVG element; empty where no model has finite figures.
    """
    shown = _points(models)
    if not shown:
        return Markup("")
    least, most = limits
    x, y = _scales(shown, least, most, frame)
    centres = spread([x(point.p50) for point in shown], _APART)
    ticks = (int(frame.width // 80), 6)
    body = [
        allowed_area(frame, x, y, least, most),
        axes(frame, x, y, _latency_tick, lambda value: short(percent(value)), ticks),
        text(frame.left, 16, "accuracy", "axis-title"),
        text(
            frame.width - frame.right,
            frame.height - 10,
            "latency of one call, p50 to p95, log scale",
            "axis-title",
            "end",
        ),
    ]
    symbols, drawn = _symbols(shown, centres, x, y)
    lines, taken = gate_lines(frame, x, y, limits, drawn)
    labels = _labels(shown, centres, y, frame, [*taken, *drawn])
    body += [lines, _front_line(shown, centres, y), *labels, *symbols]
    description = "; ".join(point.words for point in shown)
    return chart(frame, ident, "Accuracy against latency", description, body)


def pareto_front(models: Sequence[Model]) -> list[Model]:
    """The candidates that no other candidate beats in accuracy and median latency, the fastest
    first.

    Of two with the same figures, the first is in it.
    """
    points = [point for point in _points(models) if point.model.candidate]
    best, front = -math.inf, []
    for point in sorted(points, key=lambda point: (point.p50, -point.accuracy)):
        if point.accuracy > best:
            best = point.accuracy
            front.append(point.model)
    return front


def _points(models: Sequence[Model]) -> list[Point]:
    """The models with finite figures."""
    points = [
        Point(
            model,
            model.result.accuracy,
            model.result.accuracy_interval.lower,
            model.result.accuracy_interval.upper,
            model.result.latency_ms.p50.value,
            model.result.latency_ms.p95.value,
        )
        for model in models
    ]
    return [
        point
        for point in points
        if all(map(math.isfinite, (point.accuracy, point.lower, point.upper, point.p50, point.p95)))
        and min(point.p50, point.p95) > 0
    ]


def _front_line(shown: Sequence[Point], centres: Sequence[float], y: Scale) -> Markup:
    """The Pareto front as a line through its points; nothing where it is a single one."""
    front = pareto_front([point.model for point in shown])
    at = {point.model.key: (c, y(point.accuracy)) for point, c in zip(shown, centres, strict=True)}
    if len(front) < 2:
        return Markup("")
    return path([at[model.key] for model in front], class_="front")


def _latency_tick(milliseconds: float) -> str:
    return short(latency(milliseconds))


def _scales(
    shown: Sequence[Point], least: Sequence[Limit], most: Sequence[Limit], frame: Frame
) -> tuple[Scale, Scale]:
    fastest, slowest = min(point.p50 for point in shown), max(point.p95 for point in shown)
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
    bottom, top = min(point.lower for point in shown), max(point.upper for point in shown)
    bottom = min([bottom, *(n.value for n in least if n.value > bottom - _FAR_ACCURACY)])
    top = max([top, *(limit.value for limit in least)])
    room = max(0.08 * (top - bottom), 0.005)
    return (
        Scale(
            (low / 10 ** (before * decades), high * 10 ** (after * decades)), frame.x_range, True
        ),
        Scale((max(bottom - room, 0.0), min(top + room, 1.0 + room / 4)), frame.y_range),
    )


def _symbols(
    shown: Sequence[Point], centres: Sequence[float], x: Scale, y: Scale
) -> tuple[list[Markup], list[Box]]:
    """Symbols with their bars, the first model last and on top; and what they cover."""
    parts, drawn = [], []
    for point, at in zip(reversed(shown), reversed(centres), strict=True):
        model = point.model
        low, high, middle = y(point.lower), y(point.upper), y(point.accuracy)
        end = max(at + x(point.p95) - x(point.p50), at)
        class_ = f"bar arm-{model.look}"
        bars = [
            line(at, low, at, high, class_),
            line(at - 4, low, at + 4, low, class_),
            line(at - 4, high, at + 4, high, class_),
            line(at, middle, end, middle, class_),
            line(end, middle - 4, end, middle + 4, class_),
        ]
        symbol = marker(model.look, at, middle, hollow=model.open, ring=model.ring)
        parts.append(tag("g", *bars, symbol, data_model=model.key))
        drawn += [
            Box(at - 5, high, 10, low - high),
            Box(at, middle - 4, end - at, 8),
            Box(at - 9, middle - 9, 18, 18),
        ]
    return parts, drawn


def _labels(
    shown: Sequence[Point],
    centres: Sequence[float],
    y: Scale,
    frame: Frame,
    taken: Sequence[Box],
) -> list[Markup]:
    figures = [_figures(point, frame, crowded=len(shown) > _MOST_FIGURES) for point in shown]
    requests = [
        Request(
            at,
            y(point.accuracy),
            max(_NAME_WIDTH * len(point.model.title), _FIGURE_WIDTH * len(words)),
            _LABEL_HEIGHT if words else _NAME_HEIGHT,
        )
        for point, at, words in zip(shown, centres, figures, strict=True)
    ]
    left, right = frame.x_range
    floor, ceiling = frame.y_range
    area = Box(left + 2, ceiling + 2, right - left - 4, floor - ceiling - 4)
    parts = []
    for point, request, box, figure in zip(
        shown, requests, place(requests, taken, area), figures, strict=True
    ):
        on_left = box.x + box.width / 2 < request.x
        anchor, at = ("end", box.x + box.width) if on_left else ("start", box.x)
        near = box.nearest(request.x, request.y)
        look = f"arm-{point.model.look}"
        leader = line(request.x, request.y, *near, f"leader {look}")
        words = [text(at, box.y + 13, point.model.title, f"arm-title {look}", anchor)]
        if figure:
            words.append(text(at, box.y + 28, figure, "arm-figure", anchor))
        label = tag("g", *words, class_="arm-label", data_model=point.model.key)
        parts.append(join([leader, label]))
    return parts


def _figures(point: Point, frame: Frame, crowded: bool) -> str:
    """The line under a label; a narrow chart of many models has room for names only."""
    figures = [percent(point.accuracy), latency(point.p50)]
    if frame == NARROW:
        return "" if crowded else " · ".join(figures)
    return " · ".join([*figures, size(point.model.result.size_bytes)])
