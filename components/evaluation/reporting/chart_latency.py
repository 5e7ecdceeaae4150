"""The chart of one model's latency over the time of the measurement."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from components.evaluation.reporting.chart_labels import spread
from components.evaluation.reporting.charts import Frame, Scale, axes, chart, line, path, tag, text
from components.evaluation.reporting.listing import Shown
from components.shared.formatting import counted, latency, short
from components.shared.results import Latency, Percentile, PercentileName

_FRAME = Frame(width=420, height=190, top=12, right=92, bottom=34, left=58)
_NAMES: tuple[PercentileName, ...] = ("p50", "p95", "p99")
_LEAST_SPAN = 1.6
"""Largest by smallest latency of an axis, so that a quiet machine looks quiet."""
_LINE = 17.0


def span(models: Sequence[Shown]) -> float:
    """How many times its smallest segment the largest one of a model is, at most.

    All panels have axes of this ratio, so that the same height is the same percentage in all.
    """
    ratios = []
    for model in models:
        drawn = _finite(model.result.latency_ms)
        ratios += [max(drawn) / min(drawn)] if drawn else []
    return max([_LEAST_SPAN, *ratios])


def latency_panel(model: Shown, ratio: float) -> Markup:
    """Draw p50, p95 and p99 of each segment, in order of time.

    Args:
        model: whose latencies, under the condition that gates judge.
        ratio: of the ends of the axis, from :func:`span`.

    Returns:
        An SVG element; empty where there are no finite segments.
    """
    measured = model.result.latency_ms
    drawn = _finite(measured)
    if not drawn:
        return Markup("")
    count = len(measured.p50.segments)
    centre = math.sqrt(min(drawn) * max(drawn))
    reach = math.sqrt(ratio) * 1.04
    x = Scale((0.5, count + 0.5), _FRAME.x_range)
    y = Scale((centre / reach, centre * reach), _FRAME.y_range, log=True)
    lines = [
        _line(model, name, percentile, x, y)
        for name, percentile in reversed(_percentiles(measured))
    ]
    body = [
        axes(_FRAME, x, y, lambda _: "", lambda value: short(latency(value)), (0, 5)),
        text(_FRAME.left, _FRAME.height - 12, "start", "tick"),
        text(
            _FRAME.width - _FRAME.right,
            _FRAME.height - 12,
            f"end, {counted(count, 'segment')}",
            "tick",
            "end",
        ),
        *lines,
        *_figures(model, measured, y),
    ]
    description = "; ".join(
        f"{name}: {latency(percentile.value)}, bounds {latency(percentile.lower)} and "
        f"{latency(percentile.upper)}"
        for name, percentile in _percentiles(measured)
    )
    return chart(
        _FRAME, f"latency-{model.key}", f"Latency of {model.title} over time", description, body
    )


def _percentiles(measured: Latency) -> list[tuple[PercentileName, Percentile]]:
    return list(zip(_NAMES, (measured.p50, measured.p95, measured.p99), strict=True))


def _line(model: Shown, name: str, percentile: Percentile, x: Scale, y: Scale) -> Markup:
    """One percentile over time; a gap where a segment has no finite value."""
    points = [
        (x(index + 1), y(value))
        for index, value in enumerate(percentile.segments)
        if _usable(value)
    ]
    look = f"arm-{model.look} of-{name}"
    if len(points) == 1:
        return tag("circle", cx=points[0][0], cy=points[0][1], r=3, class_=f"mark {look}")
    return path(points, class_=f"trace {look}") if points else Markup("")


def _figures(model: Shown, measured: Latency, y: Scale) -> list[Markup]:
    """The figures at the right end, each with its bounds as a bar; moved apart where they meet."""
    floor, ceiling = _FRAME.y_range
    right = _FRAME.width - _FRAME.right
    shown = [(n, p) for n, p in _percentiles(measured) if _usable(p.value)]
    heights = spread([y(percentile.value) for _, percentile in shown], _LINE)
    shift = min(0.0, floor - max(heights, default=floor))
    parts = []
    for (name, percentile), height in zip(shown, heights, strict=True):
        if _usable(percentile.lower) and _usable(percentile.upper):
            low, high = (
                min(max(y(end), ceiling), floor) for end in (percentile.lower, percentile.upper)
            )
            parts.append(line(right + 6, low, right + 6, high, f"span arm-{model.look} of-{name}"))
        words = f"{name} {latency(percentile.value)}"
        parts.append(text(right + 14, height + shift + 4, words, "arm-figure"))
    return parts


def _finite(measured: Latency) -> list[float]:
    return [value for _, one in _percentiles(measured) for value in one.segments if _usable(value)]


def _usable(value: float) -> bool:
    return math.isfinite(value) and value > 0
