"""The report's key figures, and what its reliability diagrams say in words."""

import math
from dataclasses import dataclass

from components.evaluation.reporting.listing import plain, subject
from components.shared import formatting
from components.shared.results import ArmResult, Decision, Evaluation, Quality

_NOT_RUN = "the teacher was not run here"


@dataclass(frozen=True)
class Tile:
    """One key figure."""

    label: str
    value: str
    notes: list[str]


def key_figures(evaluation: Evaluation, decision: Decision) -> list[Tile]:
    """The figures that a reader looks for first, of the model that the verdict is on."""
    found, teacher = subject(evaluation, decision), evaluation.teacher
    student = found.measured
    trained = plain(evaluation)
    retention = student.accuracy / teacher.accuracy if teacher.accuracy > 0 else None
    level = formatting.percent(evaluation.confidence, 0)
    inside = student.accuracy_interval
    beside = teacher.accuracy_interval
    return [
        Tile(
            "Student accuracy",
            formatting.percent(student.accuracy),
            [
                f"{level} interval {formatting.interval(inside.lower, inside.upper)}",
                f"{formatting.integer(student.rows)} test rows"
                + ("" if trained else f", {found.name}"),
            ],
        ),
        Tile(
            "Teacher accuracy",
            formatting.percent(teacher.accuracy),
            [f"{level} interval {formatting.interval(beside.lower, beside.upper)}"],
        ),
        Tile(
            "Gap recovered",
            "no gap"
            if evaluation.gap_recovered is None
            else formatting.percent(evaluation.gap_recovered, 0),
            [f"from the hard-label arm to the teacher{'' if trained else ', as float32'}"],
        ),
        Tile(
            "Retention",
            formatting.percent(retention),
            ["of the teacher's accuracy is kept"],
        ),
        Tile(
            "Latency, p95",
            formatting.latency(student.latency_ms.p95.value),
            _latencies(student, evaluation.arms.get("teacher")),
        ),
        Tile(
            "File size",
            formatting.size(student.size_bytes),
            _sizes(student, evaluation.arms.get("teacher")),
        ),
    ]


def leaning(result: Quality) -> str:
    """Whether a model claims too much or too little, in a sentence."""
    rows = sum(part.rows for part in result.calibration)
    if rows == 0:
        return "No row was measured."
    claimed = sum(part.rows * part.confidence for part in result.calibration) / rows
    held = sum(part.rows * part.accuracy for part in result.calibration) / rows
    if not math.isfinite(claimed - held):
        return "Its confidence is not finite."
    word = "over-confident" if claimed > held else "under-confident"
    if abs(claimed - held) < 0.005:
        word = "neither over- nor under-confident"
    return (
        f"On average it claims {formatting.percent(claimed)} and is right in "
        f"{formatting.percent(held)}: {word}."
    )


def _latencies(student: ArmResult, teacher: ArmResult | None) -> list[str]:
    """Beside the teacher's, where that was run here."""
    if teacher is None:
        return [_NOT_RUN]
    p95, teacher_p95 = student.latency_ms.p95.value, teacher.latency_ms.p95.value
    return [_speed(p95, teacher_p95), f"teacher {formatting.latency(teacher_p95)}"]


def _sizes(student: ArmResult, teacher: ArmResult | None) -> list[str]:
    """Beside the teacher's, where that was run here."""
    parameters = f"{formatting.integer(student.parameters)} parameters"
    if teacher is None:
        return [parameters, _NOT_RUN]
    return [
        f"{_times(teacher.size_bytes, student.size_bytes, 'smaller', 'larger')} than the teacher",
        f"{parameters}, {_times(teacher.parameters, student.parameters, 'fewer', 'more')}",
    ]


def _speed(student: float, teacher: float) -> str:
    if not (math.isfinite(student) and math.isfinite(teacher)) or min(student, teacher) <= 0:
        return "no speed-up was measured"
    if student <= teacher:
        return f"{formatting.ratio(teacher / student)} as fast as the teacher"
    return f"{formatting.ratio(student / teacher)} slower than the teacher"


def _times(teacher: int, student: int, less: str, more: str) -> str:
    if student <= teacher:
        return f"{formatting.ratio(teacher / max(student, 1))} {less}"
    return f"{formatting.ratio(student / max(teacher, 1))} {more}"
