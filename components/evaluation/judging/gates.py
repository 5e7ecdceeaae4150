"""The gates: whether a student has earned its promotion, as a pure function of measurements."""

from components.evaluation.judging import readings, sentences
from components.evaluation.judging.gate_list import Gate, gates_of
from components.evaluation.judging.lookup import UnusableError
from components.evaluation.judging.power import measured_power
from components.evaluation.judging.selection import closest, preferred
from components.shared.candidates import REFERENCE
from components.shared.recipe.gates import Gates
from components.shared.results import (
    CandidateDecision,
    CandidateResult,
    Check,
    Decision,
    Evaluation,
    Power,
)


def decide(evaluation: Evaluation, policy: Gates) -> Decision:
    """Judge an evaluation by a policy.

    Every candidate is judged by every gate, each on the one-sided confidence bound of its number
    (sizes and peak memory as they are). With K candidates the bounds are taken at
    1 - (1 - ``policy.confidence``) / K: by Bonferroni's inequality the chance that any candidate
    passes a gate that it truly misses stays at 1 - ``policy.confidence``, whatever they have in
    common. A candidate has to pass all its gates, so their number needs no adjustment. A gate whose
    number is missing, not finite or impossible fails and says which number it is.

    No I/O, no randomness, no clock: the same arguments give the same decision.

    Raises:
        ValueError: the policy is not valid; above all, it has no gate.
    """
    policy = Gates.model_validate(policy.model_dump())
    candidates = evaluation.candidates
    if not candidates:
        return _without_candidates(evaluation, policy)
    confidence = 1 - (1 - policy.confidence) / len(candidates)
    judged = [_judge(evaluation, candidate, policy, confidence) for candidate in candidates]
    passing = [position for position, decision in enumerate(judged) if decision.passed]
    position = (
        preferred(candidates, passing, policy.prefer, confidence) if passing else closest(judged)
    )
    about = candidates[position]
    power = _power(evaluation, about, policy, confidence)
    return Decision(
        verdict="promote" if passing else "reject",
        summary=sentences.summary(judged, position, evaluation),
        candidate=about.name,
        checks=judged[position].checks,
        candidates=judged,
        confidence=confidence,
        power=power,
        warnings=sentences.warnings(evaluation, policy, power),
        dataset_digest=evaluation.dataset_digest,
        student_digest=about.measured.model_digest if about.measured else "",
        champion_version=evaluation.champion_version,
    )


def _judge(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> CandidateDecision:
    gates = gates_of(evaluation, candidate, policy, confidence)
    checks = [_check(gate, confidence) for gate in gates]
    passed = all(check.passed for check in checks)
    return CandidateDecision(name=candidate.name, passed=passed, checks=checks)


def _check(gate: Gate, confidence: float) -> Check:
    fields = {"gate": gate.path, "threshold": gate.threshold, "direction": gate.direction}
    try:
        reading = gate.read()
    except UnusableError as error:
        reason = sentences.not_judged(gate, str(error))
        return Check(**fields, observed=None, bound=None, passed=False, reason=reason)
    passed = {
        "at least": reading.bound >= gate.threshold,
        "at most": reading.bound <= gate.threshold,
        "above": reading.bound > gate.threshold,
    }[gate.direction]
    reason = sentences.judged(gate, reading, confidence, passed)
    return Check(
        **fields, observed=reading.observed, bound=reading.bound, passed=passed, reason=reason
    )


def _power(
    evaluation: Evaluation, candidate: CandidateResult, policy: Gates, confidence: float
) -> Power | None:
    if policy.champion is None or not readings.has_champion(evaluation):
        return None
    try:
        counts = readings.paired(evaluation, candidate, "champion")
    except UnusableError:  # the gate says so
        return None
    return measured_power(counts, policy.champion.max_regression, confidence)


def _without_candidates(evaluation: Evaluation, policy: Gates) -> Decision:
    """A rejection that is about the float32 student, since nothing else is there."""
    reason = sentences.no_candidates(evaluation)
    check = Check(
        gate="compression.candidates",
        observed=0,
        bound=0,
        threshold=1,
        direction="at least",
        passed=False,
        reason=reason,
    )
    student = evaluation.arms.get("student")
    return Decision(
        verdict="reject",
        summary=reason,
        candidate=REFERENCE,
        checks=[check],
        candidates=[],
        confidence=policy.confidence,
        power=None,
        warnings=sentences.warnings(evaluation, policy, None),
        dataset_digest=evaluation.dataset_digest,
        student_digest=student.model_digest if student else "",
        champion_version=evaluation.champion_version,
    )
