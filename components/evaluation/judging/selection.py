"""Which of several candidates that pass is deployed, and which of those that fail came closest."""

from collections.abc import Callable, Sequence
from typing import Literal

from components.evaluation.judging import readings
from components.evaluation.judging.lookup import UnusableError, measured
from components.shared.results import CandidateDecision, CandidateResult

WORTHWHILE = 0.05
"""Share of latency or size that a change has to save."""

Preference = Literal["latency", "size", "accuracy"]


def preferred(
    candidates: Sequence[CandidateResult],
    passing: Sequence[int],
    prefer: Preference,
    confidence: float,
) -> int:
    """Position of the candidate to deploy.

    The first that passes, unless a later one is worth the change; then that one, and so on. What
    passes is good enough, so a change has to bring something: at least 5 % less latency (by the
    bound) or bytes, or an accuracy that is higher by more than a standard error.

    Args:
        candidates: all of them, in the order of the recipe.
        passing: ascending positions of those that meet every gate; at least one.
        prefer: the recipe's ``gates.prefer``.
        confidence: level of the bounds.
    """
    better = _BETTER[prefer]
    chosen = passing[0]
    for position in passing[1:]:
        try:
            if better(candidates[position], candidates[chosen], confidence):
                chosen = position
        except UnusableError:  # no gate reads that number, so it decides nothing
            continue
    return chosen


def closest(judged: Sequence[CandidateDecision]) -> int:
    """Position of the candidate that fails the fewest gates, the first of equals."""
    failed = [sum(not check.passed for check in decision.checks) for decision in judged]
    return failed.index(min(failed))


def _faster(one: CandidateResult, other: CandidateResult, confidence: float) -> bool:
    """By the upper bound of the ratio of median latencies, measured in turn."""
    _, bound = readings.ratio_of(measured(one), measured(other), "p50", confidence)
    return bound <= 1 - WORTHWHILE


def _smaller(one: CandidateResult, other: CandidateResult, _: float) -> bool:
    """By the sizes themselves, which have no error."""
    return readings.size(one).observed <= (1 - WORTHWHILE) * readings.size(other).observed


def _more_accurate(one: CandidateResult, other: CandidateResult, _: float) -> bool:
    """The accuracy is higher by more than one standard error of either.

    Candidates are not paired with each other. But forms of one student err on mostly the same rows,
    so that the standard error of their difference is below that of one accuracy, and the rule is
    stricter than it looks. It only chooses among candidates that all meet the gates.
    """
    mine, others = readings.accuracy(one), readings.accuracy(other)
    return mine.value - others.value > max(mine.standard_error, others.standard_error)


_BETTER: dict[Preference, Callable[[CandidateResult, CandidateResult, float], bool]] = {
    "latency": _faster,
    "size": _smaller,
    "accuracy": _more_accurate,
}
