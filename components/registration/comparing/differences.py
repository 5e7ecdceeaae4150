"""What differs between two versions, and what of it can be compared at all."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from components.registration.comparing.reading import Side
from components.registration.comparing.records import (
    FigureDifference,
    GateDifference,
    RecipeChange,
    Unit,
    VersionDiff,
)
from components.shared.recipe_changes import recipe_changes
from components.shared.results import ArmResult, Interval, MetricName, PairedCounts, Percentile

Better = Literal["higher", "lower"]

_METRICS: tuple[tuple[MetricName, Unit, Better], ...] = (
    ("accuracy", "share", "higher"),
    ("balanced_accuracy", "share", "higher"),
    ("macro_f1", "share", "higher"),
    ("auroc", "number", "higher"),
    ("log_loss", "number", "lower"),
    ("calibration_error", "number", "lower"),
    ("agreement", "share", "higher"),
)
_LATENCIES: dict[str, Callable[[ArmResult], Percentile]] = {
    "latency_p50_ms": lambda result: result.latency_ms.p50,
    "latency_p95_ms": lambda result: result.latency_ms.p95,
    "latency_p99_ms": lambda result: result.latency_ms.p99,
}
_COSTS: dict[str, tuple[Unit, Callable[[ArmResult], float]]] = {
    "cold_start_ms": ("ms", lambda result: result.footprint.cold_start_ms),
    "peak_memory_bytes": ("bytes", lambda result: result.footprint.peak_memory_bytes),
    "size_bytes": ("bytes", lambda result: result.size_bytes),
    "parameters": ("number", lambda result: result.parameters),
}


@dataclass(frozen=True)
class _Measured:
    """Both versions, as they were measured."""

    first: ArmResult
    second: ArmResult
    together: bool
    where: str
    """The version in whose run they were measured together."""
    paired: PairedCounts | None


def compare(model: str, tracking_uri: str, first: Side, second: Side) -> VersionDiff:
    """Compare two versions of a registered model.

    Args:
        model: its name.
        tracking_uri: where it is registered, without credentials.
        first: what differences are taken from.
        second: the other.
    """
    measured = _measured(first, second)
    same_data = first.record.dataset_digest == second.record.dataset_digest
    teachers = {first.record.teacher_digest, second.record.teacher_digest}
    same_teacher = None if None in teachers else len(teachers) == 1
    comparable = measured.together or same_data
    return VersionDiff(
        model=model,
        tracking_uri=tracking_uri,
        first=first.record,
        second=second.record,
        same_data=same_data,
        same_teacher=same_teacher,
        measured_together=measured.together,
        comparable=comparable,
        notes=[_basis(first, second, measured, same_data), *first.notes, *second.notes],
        figures=[*_figures(measured, comparable, same_teacher is True)],
        paired=measured.paired,
        gates=_gates(first, second),
        recipe=[
            RecipeChange(path=change.path, first=change.old, second=change.new)
            for change in recipe_changes(first.recipe, second.recipe)
        ],
    )


def _measured(first: Side, second: Side) -> _Measured:
    """From the run in which one was the champion of the other, if there was one."""
    own_first, own_second = _own(first), _own(second)
    if (beside := _champion_of(second, first)) is not None:
        where = second.record.version
        return _Measured(beside, own_second, True, where, _paired(second))
    if (beside := _champion_of(first, second)) is not None:
        counts = _paired(first)
        turned = counts and counts.model_copy(
            update={"only_student": counts.only_other, "only_other": counts.only_student}
        )
        return _Measured(own_first, beside, True, first.record.version, turned)
    return _Measured(own_first, own_second, False, "", None)


def _own(side: Side) -> ArmResult:
    return side.evaluation.measured(side.decision.candidate)


def _champion_of(side: Side, other: Side) -> ArmResult | None:
    """What was measured of the other one in the run of this one."""
    champion = side.evaluation.arms.get("champion")
    if champion is None or side.evaluation.champion_version != other.record.version:
        return None
    return champion if champion.model_digest == other.record.student_digest else None


def _paired(side: Side) -> PairedCounts | None:
    candidate = side.evaluation.candidate(side.decision.candidate)
    return candidate.paired.get("champion") if candidate else None


def _basis(first: Side, second: Side, measured: _Measured, same_data: bool) -> str:
    one, other = first.record.version, second.record.version
    if measured.together:
        champion = one if measured.where == other else other
        rows = (second if measured.where == other else first).evaluation.rows
        return (
            f"Both were measured together, on the {rows:,} test rows of the run that made version "
            f"{measured.where}, when version {champion} was the champion."
        )
    if same_data:
        return (
            f"Both were measured on the same {first.evaluation.rows:,} test rows, but not at the "
            "same time: a difference in latency may come from the machine alone."
        )
    return (
        f"They were measured on the test rows of different data sets ({first.evaluation.rows:,} "
        f"and {second.evaluation.rows:,} rows), so that their figures cannot be compared: a "
        "difference may come from the rows alone. Latencies may differ by the machine alone."
    )


def _figures(
    measured: _Measured, comparable: bool, same_teacher: bool
) -> Iterator[FigureDifference]:
    first, second = measured.first, measured.second
    for name, unit, better in _METRICS:
        one, other = first.metrics.get(name), second.metrics.get(name)
        if one is None and other is None:
            continue
        # Agreement is with the teacher that the version learned from.
        meant = comparable and (name != "agreement" or same_teacher)
        yield FigureDifference(
            name=name,
            unit=unit,
            better=better,
            first=one and one.value,
            first_interval=one and Interval(lower=one.lower, upper=one.upper),
            second=other and other.value,
            second_interval=other and Interval(lower=other.lower, upper=other.upper),
            difference=_less(other.value, one.value) if meant and one and other else None,
        )
    for percentile, read in _LATENCIES.items():
        before, after = read(first), read(second)
        yield FigureDifference(
            name=percentile,
            unit="ms",
            better="lower",
            first=before.value,
            first_interval=Interval(lower=before.lower, upper=before.upper),
            second=after.value,
            second_interval=Interval(lower=after.lower, upper=after.upper),
            difference=_less(after.value, before.value) if _same_condition(first, second) else None,
        )
    for cost, (unit, read_cost) in _COSTS.items():
        yield FigureDifference(
            name=cost,
            unit=unit,
            better="lower",
            first=read_cost(first),
            first_interval=None,
            second=read_cost(second),
            second_interval=None,
            difference=_less(read_cost(second), read_cost(first)),
        )


def _less(value: float, subtracted: float) -> float | None:
    difference = value - subtracted
    return difference if math.isfinite(difference) else None


def _same_condition(first: ArmResult, second: ArmResult) -> bool:
    one, other = first.latency_ms, second.latency_ms
    return (one.batch_size, one.threads) == (other.batch_size, other.threads)


def _gates(first: Side, second: Side) -> list[GateDifference]:
    """Every gate of either, in the order of the second."""
    before = {check.gate: check for check in first.decision.checks}
    after = {check.gate: check for check in second.decision.checks}
    return [
        GateDifference(
            gate=gate,
            first_passed=before[gate].passed if gate in before else None,
            first_reason=before[gate].reason if gate in before else None,
            second_passed=after[gate].passed if gate in after else None,
            second_reason=after[gate].reason if gate in after else None,
        )
        for gate in [*after, *(gate for gate in before if gate not in after)]
    ]
