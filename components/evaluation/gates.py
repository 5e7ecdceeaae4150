"""The gates: whether a student has earned its promotion, as a pure function of measurements."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Literal, NamedTuple

from components.evaluation import readings
from components.evaluation.readings import Reading, UnusableError
from components.shared.recipe.gates import Gates, LatencyGate
from components.shared.results import Check, Decision, Evaluation


class _Gate(NamedTuple):
    """One threshold of the policy."""

    path: str
    what: str
    """What is judged, as the beginning of a sentence."""
    direction: Literal["at least", "at most", "above"]
    threshold: float
    write: Callable[[float], str]
    """A value in units for people."""
    read: Callable[[], Reading]


def decide(evaluation: Evaluation, policy: Gates) -> Decision:
    """Judge an evaluation by a policy.

    Every gate is judged on the one-sided confidence bound of its number at ``policy.confidence``
    (a latency on the bound that was measured, at that level or a higher one; the size is exact). A
    gate whose number is missing, not finite or impossible fails and says which number it is.

    No I/O, no randomness, no clock: the same arguments give the same decision.

    Raises:
        ValueError: the policy is not valid; above all, it has no gate.
    """
    policy = Gates.model_validate(policy.model_dump())
    checks = [_judge(gate, policy.confidence) for gate in _gates(evaluation, policy)]
    without_champion = policy.champion is not None and not readings.has_champion(evaluation)
    if without_champion and policy.champion:
        checks += _missing_champion(policy, policy.champion.max_regression, bool(checks))
    student = evaluation.arms.get("student")
    return Decision(
        verdict="promote" if all(check.passed for check in checks) else "reject",
        summary=_summary(checks, without_champion),
        checks=checks,
        dataset_digest=evaluation.dataset_digest,
        student_digest=student.model_digest if student else "",
        champion_version=evaluation.champion_version,
    )


def _gates(evaluation: Evaluation, policy: Gates) -> list[_Gate]:
    """The gates of the policy that can be judged, in the order of the recipe."""
    gates = []
    sure = policy.confidence
    if policy.accuracy:
        read = partial(readings.accuracy, evaluation, sure)
        minimum = policy.accuracy.min
        gates.append(_Gate("gates.accuracy.min", "Accuracy", "at least", minimum, _percent, read))
    if policy.retention:
        read = partial(readings.retention, evaluation, sure)
        minimum = policy.retention.min
        what = "Accuracy relative to the teacher's"
        gates.append(_Gate("gates.retention.min", what, "at least", minimum, _percent, read))
    if policy.champion and readings.has_champion(evaluation):
        read = partial(readings.gain, evaluation, "champion", sure)
        minimum = 0 - policy.champion.max_regression  # not -0.0
        what = "Difference from the champion's accuracy"
        path = "gates.champion.max_regression"
        gates.append(_Gate(path, what, "at least", minimum, _points, read))
    if policy.hard_label:
        read = partial(readings.gain, evaluation, "hard_label", sure)
        minimum = policy.hard_label.min_gain
        what = "Gain over the same student trained without the teacher"
        gates.append(_Gate("gates.hard_label.min_gain", what, "above", minimum, _points, read))
    if policy.latency:
        gates += _latency_gates(evaluation, policy.latency, sure)
    if policy.size:
        read = partial(readings.size, evaluation)
        most = policy.size.max_bytes
        gates.append(_Gate("gates.size.max_bytes", "File size", "at most", most, _bytes, read))
    return gates


def _latency_gates(evaluation: Evaluation, limits: LatencyGate, confidence: float) -> list[_Gate]:
    return [
        _Gate(
            path=f"gates.latency.{percentile}_ms",
            what=f"Latency {percentile}",
            direction="at most",
            threshold=limit,
            write=_milliseconds,
            read=partial(readings.latency, evaluation, percentile, confidence),
        )
        for percentile, limit in (
            ("p50", limits.p50_ms),
            ("p95", limits.p95_ms),
            ("p99", limits.p99_ms),
        )
        if limit is not None
    ]


def _judge(gate: _Gate, confidence: float) -> Check:
    asked = f"{gate.path} asks for {gate.direction} {gate.write(gate.threshold)}"
    fields = {"gate": gate.path, "threshold": gate.threshold, "direction": gate.direction}
    try:
        observed, bound = gate.read()
    except UnusableError as error:
        reason = f"{gate.what} cannot be judged: {error}; {asked}."
        return Check(**fields, observed=None, bound=None, passed=False, reason=reason)
    passed = {
        "at least": bound >= gate.threshold,
        "at most": bound <= gate.threshold,
        "above": bound > gate.threshold,
    }[gate.direction]
    seen = f"{gate.what} is {gate.write(observed)}"
    if bound != observed:
        side = "upper" if gate.direction == "at most" else "lower"
        seen += f" ({side} bound {gate.write(bound)} at {_percent(confidence)} confidence)"
    reason = f"{seen}; {asked}, which it {'meets' if passed else 'misses'}."
    return Check(**fields, observed=observed, bound=bound, passed=passed, reason=reason)


def _missing_champion(policy: Gates, max_regression: float, judged: bool) -> list[Check]:
    """The failing check for want of a champion, unless other gates may judge alone."""
    if policy.on_missing_champion == "reject":
        reason = (
            "There is no champion to compare with, and gates.on_missing_champion is reject; "
            "promote a first one by hand, or set it to promote."
        )
    elif not judged:
        reason = (
            "There is no champion to compare with, and no other gate: nothing would be checked; "
            "add one for the first promotion, such as gates.accuracy.min."
        )
    else:
        return []
    return [
        Check(
            gate="gates.champion.max_regression",
            observed=None,
            bound=None,
            threshold=0 - max_regression,
            direction="at least",
            passed=False,
            reason=reason,
        )
    ]


def _summary(checks: list[Check], without_champion: bool) -> str:
    failed = [check.gate for check in checks if not check.passed]
    alone = " There is no champion yet to compare with." if without_champion else ""
    gates = f"{len(checks)} gate{'s' if len(checks) > 1 else ''}"
    if failed:
        return f"{', '.join(failed)} failed ({len(failed)} of {gates}).{alone}"
    return f"The student meets {'all ' if len(checks) > 1 else 'its '}{gates}.{alone}"


def _percent(value: float) -> str:
    return f"{_plain(100 * value, 4)} %"


def _points(value: float) -> str:
    return f"{_plain(100 * value, 3)} points"


def _milliseconds(value: float) -> str:
    return f"{_plain(value, 4)} ms"


def _bytes(value: float) -> str:
    return f"{value:,.0f} bytes"


def _plain(value: float, digits: int) -> str:
    """So many significant digits, never in exponent notation."""
    return format(Decimal(f"{value:.{digits}g}"), "f")
