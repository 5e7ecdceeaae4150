"""The numbers that gates judge, read from an evaluation, or why they cannot be used."""

import math
from typing import NamedTuple

from components.evaluation.bounds import (
    difference_lower_bound,
    ratio_lower_bound,
    wilson_lower_bound,
)
from components.shared.results import ArmName, Evaluation, PairedCounts


class Reading(NamedTuple):
    """A number as observed, and its one-sided confidence bound."""

    observed: float
    bound: float


class UnusableError(Exception):
    """A number is missing, not finite or impossible; the message names it."""


def has_champion(evaluation: Evaluation) -> bool:
    """Whether a champion was measured, or should have been."""
    return evaluation.champion_version is not None or "champion" in evaluation.arms


def accuracy(evaluation: Evaluation, confidence: float) -> Reading:
    """The student's accuracy, with its Wilson lower bound."""
    observed, rows = _accuracy(evaluation, "student")
    return Reading(observed, wilson_lower_bound(observed, rows, confidence))


def retention(evaluation: Evaluation, confidence: float) -> Reading:
    """Accuracy of the student divided by the teacher's, with a paired lower bound."""
    counts, student, teacher = _paired(evaluation, "teacher")
    bound = ratio_lower_bound(counts, confidence)
    if bound is None:
        raise UnusableError("the teacher is never right (arms.teacher.accuracy is 0)")
    return Reading(student / teacher, bound)


def gain(evaluation: Evaluation, other: ArmName, confidence: float) -> Reading:
    """Accuracy of the student less that of another arm, with a paired lower bound."""
    counts, student, accuracy_of_other = _paired(evaluation, other)
    return Reading(student - accuracy_of_other, difference_lower_bound(counts, confidence))


def latency(evaluation: Evaluation, percentile: str, confidence: float) -> Reading:
    """A latency percentile of the student in milliseconds, with its upper bound as measured."""
    value = f"arms.student.latency_ms.{percentile}.value"
    upper = f"arms.student.latency_ms.{percentile}.upper"
    observed = _number(evaluation, value)
    try:
        bound = _number(evaluation, upper)
    except UnusableError as error:
        raise UnusableError(
            f"{error}; too few calls have no bound: raise evaluation.calls"
        ) from error
    for path, number in ((value, observed), (upper, bound)):
        if number < 0:
            raise UnusableError(f"{path} is {number}, below zero")
    measured_at = _number(evaluation, "confidence")
    if measured_at < confidence:
        raise UnusableError(
            f"{upper} was measured at a confidence of {measured_at}; gates.confidence is "
            f"{confidence}: raise evaluation.confidence to it"
        )
    return Reading(observed, bound)


def size(evaluation: Evaluation) -> Reading:
    """Size of the student's ONNX file in bytes, which is exact."""
    observed = _number(evaluation, "arms.student.size_bytes")
    if observed <= 0:
        raise UnusableError(f"arms.student.size_bytes is {observed:g}")
    return Reading(observed, observed)


def _accuracy(evaluation: Evaluation, arm: ArmName) -> tuple[float, int]:
    """An arm's accuracy and its rows, which are the evaluation's."""
    observed = _number(evaluation, f"arms.{arm}.accuracy")
    if not 0 <= observed <= 1:
        raise UnusableError(f"arms.{arm}.accuracy is {observed}, not between 0 and 1")
    rows, rows_of_arm = _number(evaluation, "rows"), _number(evaluation, f"arms.{arm}.rows")
    if rows <= 0 or rows != rows_of_arm:
        raise UnusableError(f"arms.{arm}.rows is {rows_of_arm:g}, rows is {rows:g}")
    return observed, int(rows)


def _paired(evaluation: Evaluation, other: ArmName) -> tuple[PairedCounts, float, float]:
    """Counts that are possible, with the accuracies of the student and the other arm."""
    student, rows = _accuracy(evaluation, "student")
    accuracy_of_other, _ = _accuracy(evaluation, other)
    where = f"paired.{other}"
    values = {name: _number(evaluation, f"{where}.{name}") for name in PairedCounts.model_fields}
    for name, value in values.items():
        if value < 0 or value != int(value):
            raise UnusableError(f"{where}.{name} is {value:g}")
    if sum(values.values()) != rows:
        raise UnusableError(f"{where} counts {sum(values.values()):g} rows, not {rows}")
    counts = PairedCounts(**{name: int(value) for name, value in values.items()})
    for arm, right, expected in (
        ("student", counts.both + counts.only_student, student),
        (other, counts.both + counts.only_other, accuracy_of_other),
    ):
        if right != round(expected * rows):
            raise UnusableError(
                f"{where} counts {right} right rows of {rows} for arms.{arm}, whose accuracy is "
                f"{expected}"
            )
    return counts, student, accuracy_of_other


def _number(evaluation: Evaluation, path: str) -> float:
    """The finite number at a dotted path; anything may be missing on the way.

    An evaluation that was read from its file has the right types, but it may lack an arm, and hold
    NaN. One that was built without validation may lack anything, and must not pass a gate either.
    """
    value: object = evaluation
    walked = []
    for part in path.split("."):
        walked.append(part)
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
        if value is None:
            raise UnusableError(f"{'.'.join(walked)} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableError(f"{path} is {value!r}, not a number")
    if not math.isfinite(value):
        raise UnusableError(f"{path} is {value}")
    return value
