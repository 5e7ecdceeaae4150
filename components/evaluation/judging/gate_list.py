"""Which gates a policy asks of a candidate, given what could be measured at all.

A gate that cannot be judged is in the list all the same, and says why when it is read; only a
policy that says so by name (``first_model``, ``on_missing_champion``, ``on_noise``) leaves one out.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, NoReturn

from components.evaluation.judging import readings
from components.evaluation.judging.lookup import UnusableError
from components.evaluation.judging.readings import Reading
from components.shared.recipe.gates import AtLeast, Gates, LatencyGate
from components.shared.results import ArmName, CandidateResult, Evaluation, MetricName

_TITLES: dict[MetricName, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro-F1",
    "auroc": "AUROC",
    "log_loss": "Log-loss",
    "calibration_error": "Calibration error",
    "agreement": "Agreement with the teacher",
}


class Gate(NamedTuple):
    """One threshold of the policy."""

    path: str
    """In the recipe."""
    what: str
    """What is judged, as the beginning of a sentence."""
    direction: Literal["at least", "at most", "above"]
    threshold: float
    read: Callable[[], Reading]
    """Raises UnusableError where it cannot be judged."""


def gates_of(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> list[Gate]:
    """The gates that a candidate is judged by, in the order of the recipe; at least one.

    Args:
        evaluation: all measurements.
        candidate: the one to judge, of the evaluation.
        policy: a valid policy.
        confidence: level of each bound.
    """
    gates = [
        *_metrics(evaluation, candidate, policy, confidence),
        *_comparisons(evaluation, candidate, policy, confidence),
        *_latencies(evaluation, candidate, policy, confidence),
        *_footprints(candidate, policy),
    ]
    if readings.has_champion(evaluation):
        return gates
    judged = [gate for gate in gates if gate.path not in _CHAMPION_GATES]
    compared = [gate for gate in gates if gate.path in _CHAMPION_GATES]
    rule = _without_champion(evaluation, policy)
    if rule.says == "promote":
        return judged or [_refused(gate, _NOTHING_ELSE) for gate in compared]
    if not compared:
        read = partial(_refuse, rule.why)
        compared = [Gate(rule.field, "A student without a champion", "at least", 1, read)]
    return judged + [_refused(gate, rule.why) for gate in compared]


_CHAMPION_GATES = ("gates.champion.max_regression", "gates.latency.ratio_to_champion")
_NOTHING_ELSE = (
    "there is no champion to compare with, and no other gate, so that nothing would be checked; "
    "add one for the first promotion, such as gates.accuracy.min"
)


class _Rule(NamedTuple):
    """What the policy says where there is no champion."""

    field: str
    says: Literal["promote", "reject"]
    why: str
    """Why a gate fails if it rejects."""


def _without_champion(evaluation: Evaluation, policy: Gates) -> _Rule:
    if evaluation.champion_state == "first_model":
        return _Rule(
            "gates.first_model",
            policy.first_model,
            "there is no champion to compare with, since nothing was ever registered under this "
            "name, and gates.first_model is reject; promote a first version by hand, or set it to "
            "promote",
        )
    return _Rule(
        "gates.on_missing_champion",
        policy.on_missing_champion,
        "there is no champion to compare with, since its alias is on none of the registered "
        "versions, and gates.on_missing_champion is reject; set the alias by hand, or set it to "
        "promote",
    )


def _metrics(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> list[Gate]:
    gates = []
    for name, limit in policy.metric_gates.items():
        lower = isinstance(limit, AtLeast)
        read = partial(
            readings.metric, evaluation, candidate, name, confidence, "lower" if lower else "upper"
        )
        gates.append(
            Gate(
                path=f"gates.{name}.{'min' if lower else 'max'}",
                what=_TITLES[name],
                direction="at least" if lower else "at most",
                threshold=limit.min if isinstance(limit, AtLeast) else limit.max,
                read=read,
            )
        )
    if policy.worst_slice:
        read = partial(
            readings.worst_slice, evaluation, candidate, policy.worst_slice.min_rows, confidence
        )
        minimum = policy.worst_slice.min_accuracy
        what = "Accuracy on the worst slice"
        gates.append(Gate("gates.worst_slice.min_accuracy", what, "at least", minimum, read))
    return gates


def _comparisons(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> list[Gate]:
    gates = []
    if policy.retention:
        read = partial(readings.retention, evaluation, candidate, confidence)
        what = "Accuracy relative to the teacher's"
        gates.append(Gate("gates.retention.min", what, "at least", policy.retention.min, read))
    if policy.champion:
        read = partial(readings.gain, evaluation, candidate, "champion", confidence)
        what = "Difference from the champion's accuracy"
        minimum = 0 - policy.champion.max_regression  # not -0.0
        gates.append(Gate("gates.champion.max_regression", what, "at least", minimum, read))
    if policy.hard_label:
        read = partial(readings.gain, evaluation, candidate, "hard_label", confidence)
        what = "Gain over the same student trained without the teacher"
        minimum = policy.hard_label.min_gain
        gates.append(Gate("gates.hard_label.min_gain", what, "above", minimum, read))
    return gates


def _latencies(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> list[Gate]:
    limits = policy.latency
    if limits is None:
        return []
    absolute = [
        Gate(
            path=f"gates.latency.{name}_ms",
            what=f"Latency {name}",
            direction="at most",
            threshold=limit,
            read=partial(readings.latency, candidate, name, confidence),
        )
        for name, limit in limits.absolute.items()
    ]
    ratios = []
    others: list[tuple[ArmName, float | None]] = [
        ("champion", limits.ratio_to_champion),
        ("teacher", limits.ratio_to_teacher),
    ]
    for arm, most in others:
        if most is not None:
            name = limits.ratio_percentile
            read = partial(readings.latency_ratio, evaluation, candidate, arm, name, confidence)
            what = f"Latency {name} relative to the {arm}'s"
            ratios.append(Gate(f"gates.latency.ratio_to_{arm}", what, "at most", most, read))
    return _in_noise(absolute, evaluation, policy, limits) + ratios


def _in_noise(
    absolute: list[Gate], evaluation: Evaluation, policy: Gates, limits: LatencyGate
) -> list[Gate]:
    """What ``on_noise`` leaves of the limits in milliseconds."""
    if policy.on_noise == "judge":
        return absolute
    try:
        if not readings.noisy(evaluation):
            return absolute
    except UnusableError as error:
        why = f"{error}, and gates.on_noise is {policy.on_noise}"
        return [_refused(gate, why) for gate in absolute]
    if policy.on_noise == "reject":
        why = "the machine was noisy, and gates.on_noise is reject; run again on a quieter one"
        return [_refused(gate, why) for gate in absolute]
    to_champion = limits.ratio_to_champion is not None and readings.has_champion(evaluation)
    if to_champion or limits.ratio_to_teacher is not None:
        return []
    why = (
        "the machine was noisy, gates.on_noise is ratio_only, and there is no champion for a "
        "ratio; run again on a quieter one, or add gates.latency.ratio_to_teacher"
    )
    return [_refused(gate, why) for gate in absolute]


def _footprints(candidate: CandidateResult, policy: Gates) -> list[Gate]:
    gates = []
    if policy.size:
        read = partial(readings.size, candidate)
        most = policy.size.max_bytes
        gates.append(Gate("gates.size.max_bytes", "File size", "at most", most, read))
    if policy.memory:
        read = partial(readings.memory, candidate)
        most = policy.memory.max_bytes
        gates.append(Gate("gates.memory.max_bytes", "Peak memory", "at most", most, read))
    return gates


def _refused(gate: Gate, why: str) -> Gate:
    """A gate that fails, whatever was measured."""
    return gate._replace(read=partial(_refuse, why))


def _refuse(why: str) -> NoReturn:
    raise UnusableError(why)
