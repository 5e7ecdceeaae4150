"""The small charts: learning curve, reliability diagram, and the gap that distillation closed."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from components.evaluation.reporting.charts import (
    Frame,
    Scale,
    axes,
    chart,
    line,
    marker,
    path,
    tag,
    text,
)
from components.evaluation.reporting.listing import Judged
from components.shared.bundle import CurvePoint
from components.shared.formatting import integer, percent
from components.shared.results import ArmName, Evaluation

_CURVE = Frame(width=420, height=230, top=16, right=18, bottom=46, left=52)
_RELIABILITY = Frame(width=420, height=390, top=16, right=18, bottom=106, left=52)
_GAP = Frame(width=420, height=150, top=0, right=28, bottom=0, left=28)

_STUDENTS: tuple[ArmName, ...] = ("hard_label", "student")
_MOST_POINTS = 240
_LOG_ABOVE = 12.0
"""Ratio of largest to smallest loss from which a curve is drawn on a log scale."""
_STRIP = 44.0
_LARGEST = 10.0


def learning_curve(points: Sequence[CurvePoint], arm: ArmName, title: str) -> Markup:
    """Training loss against the step.

    Args:
        points: the curve; points with a loss that is not finite are left out.
        arm: whose it is.
        title: how the arm is called.

    Returns:
        An SVG element; empty where there are fewer than two points.
    """
    points = thin([point for point in points if math.isfinite(point.loss)], _MOST_POINTS)
    if len(points) < 2:
        return Markup("")
    losses = [point.loss for point in points]
    low, high = min(losses), max(losses)
    log = low > 0 and high / low > _LOG_ABOVE
    y_domain = (low / 1.15, high * 1.15) if log else (min(0.0, low), high * 1.05 or 1.0)
    x = Scale((0.0, float(points[-1].step)), _CURVE.x_range)
    y = Scale(y_domain, _CURVE.y_range, log)
    last = points[-1]
    body = [
        axes(
            _CURVE, x, y, lambda value: integer(round(value)), lambda value: f"{value:.3g}", (5, 4)
        ),
        text(_CURVE.width - _CURVE.right, _CURVE.height - 8, "step", "axis-title", "end"),
        path([(x(point.step), y(point.loss)) for point in points], class_=f"curve arm-{arm}"),
        tag("circle", cx=x(last.step), cy=y(last.loss), r=4, class_=f"mark arm-{arm}"),
        text(
            x(last.step), y(last.loss) - 10, f"{last.loss:.3g}", f"arm-figure arm-{arm} halo", "end"
        ),
    ]
    description = (
        f"From {points[0].loss:.3g} at step {integer(points[0].step)} to {last.loss:.3g} at step "
        f"{integer(last.step)}{', log scale' if log else ''}."
    )
    return chart(_CURVE, f"curve-{arm}", f"Training loss of {title}", description, body)


def thin(points: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    """At most ``most`` points: neighbours are averaged, and stand at the last one's step."""
    bucket = math.ceil(len(points) / most)
    if bucket <= 1:
        return list(points)
    groups = [points[start : start + bucket] for start in range(0, len(points), bucket)]
    return [
        CurvePoint(step=group[-1].step, loss=sum(point.loss for point in group) / len(group))
        for group in groups
    ]


def reliability(model: Judged) -> Markup:
    """How often the model is right, by how sure it says it is; below, how many rows say so.

    Args:
        model: whose calibration bins are drawn.
    """
    frame = _RELIABILITY
    result, arm = model.result, model.look
    x, y = Scale((0.0, 1.0), frame.x_range), Scale((0.0, 1.0), frame.y_range)
    most = max((part.rows for part in result.calibration), default=1)
    foot = frame.height - 50.0
    gaps, dots, strip = [], [], []
    for part in sorted(result.calibration, key=lambda item: item.confidence):
        at, height = x(part.confidence), max(_STRIP * part.rows / most, 1.5)
        radius = max(_LARGEST * math.sqrt(part.rows / most), 2.5)
        note = (
            f"{integer(part.rows)} rows: confidence {percent(part.confidence)}, "
            f"accuracy {percent(part.accuracy)}"
        )
        gaps.append(line(at, y(part.confidence), at, y(part.accuracy), f"miss arm-{arm}"))
        dots.append(
            tag(
                "circle",
                tag("title", note),
                cx=at,
                cy=y(part.accuracy),
                r=radius,
                class_=f"mark dot arm-{arm}",
            )
        )
        strip.append(
            tag(
                "rect",
                x=at - 5,
                y=foot + _STRIP - height,
                width=10,
                height=height,
                class_=f"fill arm-{arm}",
            )
        )
    label = percent_whole
    body = [
        axes(frame, x, y, label, label, (5, 5)),
        line(x(0), y(0), x(1), y(1), "ideal"),
        text(frame.left + 8, frame.top + 12, "accuracy", "axis-title"),
        text(frame.width - frame.right, y(0) - 8, "confidence", "axis-title", "end"),
        text(frame.left - 8, foot + _STRIP, "rows", "tick", "end"),
        *gaps,
        *dots,
        *strip,
    ]
    error = percent(result.metrics["calibration_error"].value)
    description = (
        f"Expected calibration error {error}. A model that knows how sure it may be lies on the "
        "diagonal."
    )
    title = f"Calibration of {model.title}"
    return chart(frame, f"reliability-{model.key}", title, description, body)


def percent_whole(value: float) -> str:
    """A tick of a percent axis."""
    return percent(value, 0)


def gap_bar(evaluation: Evaluation) -> Markup:
    """Hard-label arm, student and teacher on one line; empty where there is no gap.

    Args:
        evaluation: what was measured.
    """
    recovered = evaluation.gap_recovered
    hard, student = (evaluation.arms[name].accuracy for name in _STUDENTS)
    teacher = evaluation.teacher.accuracy
    if recovered is None or not all(map(math.isfinite, (hard, student, teacher))):
        return Markup("")
    x = Scale((min(hard, student), max(teacher, student)), _GAP.x_range)
    track = 58.0

    def label(at: float, baseline: float, words: str, arm: str) -> Markup:
        near_right, near_left = at > _GAP.width * 0.7, at < _GAP.width * 0.3
        anchor = "end" if near_right else "start" if near_left else "middle"
        edge = at + 9 if near_right else at - 9 if near_left else at
        return text(edge, baseline, words, f"arm-title arm-{arm} halo", anchor)

    body = [
        line(x(hard), track, x(teacher), track, "track"),
        line(x(hard), track, x(student), track, "track-filled"),
        line(x(hard), track, x(hard), track + 26, "stem"),
        line(x(teacher), track, x(teacher), track + 56, "stem"),
        marker("hard_label", x(hard), track, 8),
        marker("teacher", x(teacher), track, 8),
        marker("student", x(student), track, 8),
        label(x(student), 18, f"Student {percent(student)}", "student"),
        label(x(student), 36, f"{percent(recovered, 0)} of the gap", "note"),
        label(x(hard), track + 42, f"Hard labels {percent(hard)}", "hard_label"),
        label(x(teacher), track + 74, f"Teacher {percent(teacher)}", "teacher"),
    ]
    description = (
        f"Hard labels {percent(hard)}, student {percent(student)}, teacher {percent(teacher)}: "
        f"{percent(recovered, 0)} of the gap recovered."
    )
    return chart(_GAP, "gap", "Share of the gap that distillation closed", description, body)
