"""What gates judge: numbers of an evaluation with their one-sided confidence bounds."""

import math
from typing import Literal, NamedTuple

from components.evaluation import latency_bounds
from components.evaluation.bounds import difference_lower_bound, ratio_lower_bound
from components.evaluation.judging.lookup import (
    Located,
    UnusableError,
    arm_of,
    candidate_of,
    measured,
    whole,
)
from components.evaluation.measuring import estimates
from components.shared.results import (
    ArmName,
    CandidateResult,
    Estimate,
    Evaluation,
    MetricName,
    PairedCounts,
    Percentile,
    PercentileName,
)

_CONDITION = ("latency", 0)
"""Where the condition is that gates judge."""


class Reading(NamedTuple):
    """A number as observed, and its one-sided confidence bound."""

    observed: float
    bound: float
    detail: str = ""
    """What else a sentence should say of it, such as which slice it is."""


def has_champion(evaluation: Evaluation) -> bool:
    """Whether a champion was measured, or should have been."""
    return (
        evaluation.champion_state not in ("first_model", "missing")
        or evaluation.champion_version is not None
        or "champion" in evaluation.arms
    )


def noisy(evaluation: Evaluation) -> bool:
    """Whether the machine was noisy while latencies were measured.

    Raises:
        UnusableError: it cannot be known.
    """
    figures = whole(evaluation)
    figures.number("noise", "drift", low=0)
    figures.number("noise", "preempted", low=0, high=1)
    figures.number("noise", "limit", low=0)
    return evaluation.noise.noisy


def metric(
    evaluation: Evaluation,
    candidate: CandidateResult,
    name: MetricName,
    confidence: float,
    side: Literal["lower", "upper"],
) -> Reading:
    """A metric with its bound on the side that is judged."""
    model = measured(candidate)
    estimate = _estimate(model, name)
    rows = _rows(evaluation, model)
    return _sure(estimate, name, rows, confidence, side, model.name("metrics", name))


def worst_slice(
    evaluation: Evaluation, candidate: CandidateResult, min_rows: int, confidence: float
) -> Reading:
    """Accuracy of the slice whose lower bound is the lowest.

    Every slice has to meet the gate, so their number asks for no adjustment: a slice that is truly
    worse does not pass more often for having others beside it.
    """
    model = measured(candidate)
    most = _rows(evaluation, model)
    found = []
    for part in model.items("slices"):
        rows = int(part.number("rows", low=0, high=most))
        if rows < min_rows:
            continue
        estimate = _estimate(part, "accuracy")
        path = part.name("metrics", "accuracy")
        reading = _sure(estimate, "accuracy", rows, confidence, "lower", path)
        found.append(reading._replace(detail=_slice(part, rows)))
    if not found:
        raise UnusableError(f"no slice in {model.name('slices')} has {min_rows:,} rows or more")
    return min(found, key=lambda reading: reading.bound)


def retention(evaluation: Evaluation, candidate: CandidateResult, confidence: float) -> Reading:
    """Accuracy of a candidate divided by the teacher's, with a paired lower bound."""
    counts = paired(evaluation, candidate, "teacher")
    bound = ratio_lower_bound(counts, confidence)
    if bound is None:
        path = arm_of(evaluation, "teacher").name("metrics", "accuracy", "value")
        raise UnusableError(f"the teacher is never right ({path} is 0)")
    right, right_of_teacher = counts.both + counts.only_student, counts.both + counts.only_other
    return Reading(right / right_of_teacher, bound)


def gain(
    evaluation: Evaluation, candidate: CandidateResult, other: ArmName, confidence: float
) -> Reading:
    """Accuracy of a candidate less that of an arm, with a paired lower bound."""
    counts = paired(evaluation, candidate, other)
    observed = (counts.only_student - counts.only_other) / counts.rows
    return Reading(observed, difference_lower_bound(counts, confidence))


def latency(candidate: CandidateResult, name: PercentileName, confidence: float) -> Reading:
    """A latency percentile in milliseconds, with its upper bound."""
    model = measured(candidate)
    percentile = percentile_of(model, name)
    bound = latency_bounds.upper_bound(percentile, confidence)
    return Reading(percentile.value, _enough(bound, model, name, confidence))


def latency_ratio(
    evaluation: Evaluation,
    candidate: CandidateResult,
    other: ArmName,
    name: PercentileName,
    confidence: float,
) -> Reading:
    """A latency percentile divided by an arm's, with its upper bound."""
    model, arm = measured(candidate), arm_of(evaluation, other)
    for condition in ("batch_size", "threads"):
        mine, theirs = (one.number(*_CONDITION, condition) for one in (model, arm))
        if mine != theirs:
            path = (*_CONDITION, condition)
            raise UnusableError(
                f"{model.name(*path)} is {mine:g}, but {arm.name(*path)} is {theirs:g}"
            )
    observed, bound = ratio_of(model, arm, name, confidence)
    return Reading(observed, _enough(bound, model, name, confidence))


def ratio_of(
    model: Located, other: Located, name: PercentileName, confidence: float
) -> tuple[float, float]:
    """Two models' latency percentiles as a ratio, with its upper bound; it may be infinite."""
    one, two = percentile_of(model, name), percentile_of(other, name)
    if len(one.segments) != len(two.segments):
        path = (*_CONDITION, name, "segments")
        raise UnusableError(
            f"{model.name(*path)} has {len(one.segments)} segments, but {other.name(*path)} has "
            f"{len(two.segments)}"
        )
    return latency_bounds.ratio(one, two, confidence)


def percentile_of(model: Located, name: PercentileName) -> Percentile:
    """A percentile under the condition that gates judge, each of its segments above 0."""
    value = model.positive(*_CONDITION, name, "value")
    segments = [part.positive() for part in model.items(*_CONDITION, name, "segments")]
    if not segments:
        raise UnusableError(f"{model.name(*_CONDITION, name, 'segments')} is empty")
    return Percentile(value=value, lower=value, upper=value, segments=segments)


def size(candidate: CandidateResult) -> Reading:
    """Size of the ONNX file in bytes, which is exact."""
    observed = measured(candidate).positive("size_bytes")
    return Reading(observed, observed)


def memory(candidate: CandidateResult) -> Reading:
    """Peak memory in bytes; it is a maximum that was measured once, and has no bound."""
    observed = measured(candidate).number("footprint", "peak_memory_bytes", low=0)
    return Reading(observed, observed)


def accuracy(candidate: CandidateResult) -> Estimate:
    """The accuracy with its standard error."""
    return _estimate(measured(candidate), "accuracy")


def paired(evaluation: Evaluation, candidate: CandidateResult, other: ArmName) -> PairedCounts:
    """Counts of a candidate and an arm that are possible, and agree with both accuracies."""
    model, arm = measured(candidate), arm_of(evaluation, other)
    rows = _rows(evaluation, model)
    _rows(evaluation, arm)
    part = candidate_of(candidate)
    values = {}
    for name in PairedCounts.model_fields:
        value = part.number("paired", other, name, low=0)
        if value != int(value):
            raise UnusableError(f"{part.name('paired', other, name)} is {value:g}")
        values[name] = int(value)
    counts = PairedCounts(**values)
    where = part.name("paired", other)
    if counts.rows != rows:
        raise UnusableError(f"{where} counts {counts.rows} rows, not {rows}")
    for one, right in (
        (model, counts.both + counts.only_student),
        (arm, counts.both + counts.only_other),
    ):
        share = one.number("metrics", "accuracy", "value", low=0, high=1)
        if right != round(share * rows):
            raise UnusableError(
                f"{where} counts {right} right rows of {rows} for {one.name()}, whose accuracy is "
                f"{share}"
            )
    return counts


def _estimate(model: Located, name: MetricName) -> Estimate:
    """A metric of which every number is possible."""
    path = ("metrics", name)
    least, most = estimates.value_range(name)
    return Estimate(
        value=model.number(*path, "value", low=least, high=most),
        centre=model.number(*path, "centre", low=least, high=most),
        standard_error=model.number(*path, "standard_error", low=0),
        lower=model.number(*path, "lower"),
        upper=model.number(*path, "upper"),
    )


def _sure(
    estimate: Estimate,
    name: MetricName,
    rows: int,
    confidence: float,
    side: Literal["lower", "upper"],
    path: str,
) -> Reading:
    bound = estimates.one_sided(estimate, name, rows, confidence, side)
    if not math.isfinite(bound):
        raise UnusableError(f"the {side} bound of {path} is {bound}")
    return Reading(estimate.value, bound)


def _rows(evaluation: Evaluation, model: Located) -> int:
    """A model's rows, which are the evaluation's."""
    rows, rows_of_model = whole(evaluation).positive("rows"), model.positive("rows")
    if rows != rows_of_model:
        raise UnusableError(f"{model.name('rows')} is {rows_of_model:g}, rows is {rows:g}")
    return int(rows)


def _enough(bound: float, model: Located, name: PercentileName, confidence: float) -> float:
    if math.isinf(bound):
        raise UnusableError(
            f"{model.name(*_CONDITION, name, 'segments')} has too few segments for a bound at "
            f"{100 * confidence:.4g} % confidence: raise evaluation.latency.budget_s"
        )
    return bound


def _slice(part: Located, rows: int) -> str:
    column, value = (getattr(part.value, field) for field in ("column", "value"))
    return f"where {column} is {value} ({rows:,} rows)"
