"""The decision: what promotes, what rejects, and that nothing missing ever passes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.evaluation.bounds import wilson_interval
from components.evaluation.gates import decide
from components.evaluation.metrics import paired_counts
from components.shared.recipe.gates import AccuracyGate, Gates, LatencyGate, SizeGate
from components.shared.results import (
    ArmName,
    ArmResult,
    Check,
    Decision,
    Evaluation,
    Latency,
    Percentile,
)

ARMS: tuple[ArmName, ...] = ("teacher", "student", "hard_label", "pseudo_label", "champion")
ROWS = 800
ALL_GATES = {
    "accuracy": {"min": 0.9},
    "retention": {"min": 0.93},
    "champion": {"max_regression": 0.02},
    "hard_label": {"min_gain": 0},
    "latency": {"p50_ms": 0.5, "p95_ms": 1, "p99_ms": 2},
    "size": {"max_bytes": 50_000},
}
GATE_PATHS = [
    "gates.accuracy.min",
    "gates.retention.min",
    "gates.champion.max_regression",
    "gates.hard_label.min_gain",
    "gates.latency.p50_ms",
    "gates.latency.p95_ms",
    "gates.latency.p99_ms",
    "gates.size.max_bytes",
]


def right_rows(errors: int, shift: int = 0) -> np.ndarray:
    """All rows right but ``errors`` of them, from row ``shift`` on."""
    right = np.ones(ROWS, dtype=bool)
    right[shift : shift + errors] = False
    return right


GOOD = {
    "teacher": right_rows(30),
    "student": right_rows(40),
    "hard_label": right_rows(90),
    "pseudo_label": right_rows(42),
    "champion": right_rows(41, shift=3),
}


def measured(
    right: dict[str, np.ndarray],
    latency_ms: tuple[float, float] = (0.010, 0.012),
    size_bytes: int = 6_000,
) -> Evaluation:
    """An evaluation of models that are right on the given rows."""
    value, upper = latency_ms
    percentile = Percentile(value=value, upper=upper)
    arms = {
        arm: ArmResult(
            accuracy=float(rows.mean()),
            accuracy_interval=wilson_interval(float(rows.mean()), len(rows), 0.95),
            rows=len(rows),
            per_class=[],
            confusion=[],
            calibration_error=0.02,
            calibration=[],
            parameters=1210,
            size_bytes=size_bytes,
            latency_ms=Latency(
                p50=percentile, p95=percentile, p99=percentile, calls=3000, threads=1
            ),
            model_digest=f"digest-of-{arm}",
            bundle_digest="b" * 64,
        )
        for arm, rows in right.items()
    }
    return Evaluation(
        dataset_digest="d" * 64,
        classes=["a", "b"],
        rows=len(right["student"]),
        confidence=0.95,
        arms=arms,
        paired={
            arm: paired_counts(right["student"], rows)
            for arm, rows in right.items()
            if arm != "student"
        },
        champion_version="3" if "champion" in right else None,
        champion_dataset_digest="d" * 64 if "champion" in right else None,
    )


def without(arm: str) -> dict[str, np.ndarray]:
    return {name: rows for name, rows in GOOD.items() if name != arm}


def changed(evaluation: Evaluation, path: str, value: Any) -> Evaluation:
    """The evaluation with one value replaced, past all validation."""
    head, _, rest = path.partition(".")
    if not rest:
        return evaluation.model_copy(update={head: value})
    child = getattr(evaluation, head)
    if isinstance(child, dict):
        key, _, deeper = rest.partition(".")
        update = value if not deeper else changed(child[key], deeper, value)
        return evaluation.model_copy(update={head: {**child, key: update}})
    return evaluation.model_copy(update={head: changed(child, rest, value)})


def policy(**sections: Any) -> Gates:
    return Gates.model_validate(sections or ALL_GATES)


def only(decision: Decision) -> Check:
    (check,) = decision.checks
    return check


def test_good_student_is_promoted_and_every_gate_is_checked() -> None:
    decision = decide(measured(GOOD), policy())
    assert decision.verdict == "promote"
    assert [check.gate for check in decision.checks] == GATE_PATHS
    assert all(check.passed for check in decision.checks)
    assert decision.student_digest == "digest-of-student"
    assert decision.champion_version == "3"
    assert decision.summary == "The student meets all 8 gates."


def test_slow_student_is_rejected_with_observed_and_threshold_in_the_reason() -> None:
    decision = decide(measured(GOOD), policy(latency={"p95_ms": 0.00001}))
    assert decision.verdict == "reject"
    check = only(decision)
    assert (check.observed, check.bound, check.threshold) == (0.010, 0.012, 0.00001)
    assert check.reason == (
        "Latency p95 is 0.01 ms (upper bound 0.012 ms at 95 % confidence); gates.latency.p95_ms "
        "asks for at most 0.00001 ms, which it misses."
    )
    assert decision.summary == "gates.latency.p95_ms failed (1 of 1 gate)."


@pytest.mark.parametrize(
    ("sections", "observed", "threshold"),
    [
        ({"accuracy": {"min": 0.945}}, 0.95, 0.945),
        ({"retention": {"min": 0.985}}, 760 / 770, 0.985),
        ({"champion": {"max_regression": 0}}, 1 / 800, 0),
        ({"latency": {"p95_ms": 0.011}}, 0.010, 0.011),
    ],
)
def test_gate_is_judged_on_the_bound_and_not_on_the_point_estimate(
    sections: dict[str, Any], observed: float, threshold: float
) -> None:
    check = only(decide(measured(GOOD), policy(**sections)))
    assert check.observed == pytest.approx(observed)
    assert check.threshold == threshold
    assert not check.passed


def test_gain_over_hard_labels_must_be_beyond_chance() -> None:
    barely = GOOD | {"hard_label": right_rows(42)}
    check = only(decide(measured(barely), policy(hard_label={"min_gain": 0})))
    assert check.observed == pytest.approx(2 / 800)
    assert (check.direction, check.passed) == ("above", False)


def test_size_is_judged_exactly() -> None:
    gate = policy(size={"max_bytes": 6_000})
    assert only(decide(measured(GOOD, size_bytes=6_000), gate)).passed
    check = only(decide(measured(GOOD, size_bytes=6_001), gate))
    assert not check.passed
    assert check.reason == (
        "File size is 6,001 bytes; gates.size.max_bytes asks for at most 6,000 bytes, which it "
        "misses."
    )


def test_more_confidence_asks_for_more() -> None:
    sections = {"accuracy": {"min": 0.93}}
    assert decide(measured(GOOD), policy(confidence=0.9, **sections)).verdict == "promote"
    assert decide(measured(GOOD), policy(confidence=0.999, **sections)).verdict == "reject"


def test_latency_bound_of_lower_confidence_than_asked_does_not_pass() -> None:
    decision = decide(measured(GOOD), policy(confidence=0.99, latency={"p95_ms": 100}))
    assert decision.verdict == "reject"
    assert "raise evaluation.confidence" in only(decision).reason


def test_without_champion_the_other_gates_judge_alone() -> None:
    decision = decide(measured(without("champion")), policy())
    assert decision.verdict == "promote"
    assert "gates.champion.max_regression" not in [check.gate for check in decision.checks]
    assert "no champion" in decision.summary
    assert decision.champion_version is None


def test_without_champion_policy_may_reject() -> None:
    decision = decide(
        measured(without("champion")), policy(**ALL_GATES, on_missing_champion="reject")
    )
    assert decision.verdict == "reject"
    (failed,) = [check for check in decision.checks if not check.passed]
    assert failed.gate == "gates.champion.max_regression"
    assert "no champion" in failed.reason


def test_without_champion_and_other_gates_nothing_is_promoted_unchecked() -> None:
    decision = decide(measured(without("champion")), policy(champion={"max_regression": 0.01}))
    assert decision.verdict == "reject"
    assert "nothing would be checked" in only(decision).reason


def test_champion_without_a_champion_gate_is_only_recorded() -> None:
    decision = decide(measured(GOOD), policy(accuracy={"min": 0.9}))
    assert decision.verdict == "promote"
    assert decision.champion_version == "3"


@pytest.mark.parametrize("lost", ["champion", "arms", "version"])
def test_champion_that_is_half_there_is_not_taken_for_none(lost: str) -> None:
    evaluation = {
        "champion": lambda: changed(measured(without("champion")), "champion_version", "3"),
        "arms": lambda: changed(measured(GOOD), "paired", {}),
        "version": lambda: changed(measured(without("champion")), "arms", measured(GOOD).arms),
    }[lost]()
    decision = decide(evaluation, policy(champion={"max_regression": 1}))
    assert decision.verdict == "reject"
    assert "champion" in only(decision).reason


@pytest.mark.parametrize(
    ("arm", "sections"),
    [
        ("student", {"size": {"max_bytes": 10**9}}),
        ("teacher", {"retention": {"min": 0.01}}),
        ("hard_label", {"hard_label": {"min_gain": -1}}),
    ],
)
def test_missing_arm_fails_the_gate_that_needs_it(arm: str, sections: dict[str, Any]) -> None:
    evaluation = measured(GOOD)
    arms = {name: result for name, result in evaluation.arms.items() if name != arm}
    decision = decide(changed(evaluation, "arms", arms), policy(**sections))
    assert decision.verdict == "reject"
    assert f"arms.{arm} is missing" in only(decision).reason


READ_BY = {
    "arms.student.accuracy": {"accuracy": {"min": 0}},
    "arms.student.rows": {"accuracy": {"min": 0}},
    "rows": {"accuracy": {"min": 0}},
    "arms.teacher.accuracy": {"retention": {"min": 1e-9}},
    "paired.teacher.both": {"retention": {"min": 1e-9}},
    "paired.champion.only_other": {"champion": {"max_regression": 1}},
    "arms.champion.accuracy": {"champion": {"max_regression": 1}},
    "paired.hard_label.neither": {"hard_label": {"min_gain": -1}},
    "arms.student.latency_ms.p50.upper": {"latency": {"p50_ms": 1e9}},
    "arms.student.latency_ms.p95.value": {"latency": {"p95_ms": 1e9}},
    "arms.student.latency_ms.p99.upper": {"latency": {"p99_ms": 1e9}},
    "arms.student.size_bytes": {"size": {"max_bytes": 10**12}},
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0.9", True, -1])
@pytest.mark.parametrize("path", READ_BY)
def test_unusable_number_rejects_and_is_named(path: str, value: Any) -> None:
    sections = READ_BY[path]
    assert decide(measured(GOOD), policy(**sections)).verdict == "promote"
    decision = decide(changed(measured(GOOD), path, value), policy(**sections))
    assert decision.verdict == "reject"
    check = only(decision)
    assert (check.observed, check.bound) == (None, None)
    assert path in check.reason


@pytest.mark.parametrize("path", ["arms.student.latency_ms", "arms.student.latency_ms.p95"])
def test_missing_section_rejects_and_is_named(path: str) -> None:
    decision = decide(changed(measured(GOOD), path, None), policy(latency={"p95_ms": 1e9}))
    assert f"{path} is missing" in only(decision).reason


@pytest.mark.parametrize("change", [("both", -1), ("both", 1), ("neither", 0)])
def test_counts_that_cannot_be_reject(change: tuple[str, int]) -> None:
    name, value = change
    path = f"paired.champion.{name}"
    decision = decide(changed(measured(GOOD), path, value), policy(champion={"max_regression": 1}))
    assert decision.verdict == "reject"
    assert "paired.champion" in only(decision).reason


def test_counts_that_contradict_the_accuracies_reject() -> None:
    right = GOOD | {"student": right_rows(400)}
    counts = measured(right).paired["champion"]
    evaluation = changed(measured(GOOD), "paired.champion", counts)
    decision = decide(evaluation, policy(champion={"max_regression": 1}))
    assert decision.verdict == "reject"
    assert "arms.student" in only(decision).reason


def test_teacher_that_is_never_right_cannot_be_retained() -> None:
    right = GOOD | {"teacher": right_rows(ROWS)}
    decision = decide(measured(right), policy(retention={"min": 0.5}))
    assert "the teacher is never right" in only(decision).reason


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"confidence": 2.0, "size": SizeGate(max_bytes=1)},
        {"accuracy": AccuracyGate.model_construct(min=math.nan)},
        {"latency": LatencyGate.model_construct(p95_ms=math.inf)},
    ],
)
def test_policy_that_skipped_validation_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one gate|less than 1|finite"):
        decide(measured(GOOD), Gates.model_construct(**broken))


right_strategy = st.integers(0, 2**31).flatmap(
    lambda seed: st.floats(0, 1).map(lambda share: np.random.default_rng(seed).random(60) < share)
)
evaluations = st.builds(
    measured,
    st.fixed_dictionaries(dict.fromkeys(ARMS, right_strategy)),
    st.tuples(st.floats(0.001, 5), st.floats(0.001, 5)),
    st.integers(1, 100_000),
)
policies = st.builds(
    lambda confidence, **sections: Gates.model_validate({"confidence": confidence} | sections),
    confidence=st.floats(0.6, 0.95),
    accuracy=st.fixed_dictionaries({"min": st.floats(0, 1)}),
    retention=st.none() | st.fixed_dictionaries({"min": st.floats(0.1, 1.2)}),
    champion=st.none() | st.fixed_dictionaries({"max_regression": st.floats(0, 1)}),
    hard_label=st.none() | st.fixed_dictionaries({"min_gain": st.floats(-1, 1)}),
    latency=st.none() | st.fixed_dictionaries({"p95_ms": st.floats(0.001, 5)}),
    size=st.none() | st.fixed_dictionaries({"max_bytes": st.integers(1, 100_000)}),
)


@settings(deadline=None, max_examples=60)
@given(evaluation=evaluations, gates=policies)
def test_same_arguments_give_the_same_decision_and_promotion_means_all_passed(
    evaluation: Evaluation, gates: Gates
) -> None:
    decision = decide(evaluation, gates)
    assert decide(evaluation.model_copy(deep=True), gates) == decision
    assert (decision.verdict == "promote") == all(check.passed for check in decision.checks)
    reread = Evaluation.model_validate_json(evaluation.model_dump_json())
    assert decide(reread, gates) == decision


def verdicts(evaluation: Evaluation, gates: Gates) -> dict[str, bool]:
    return {check.gate: check.passed for check in decide(evaluation, gates).checks}


@settings(deadline=None, max_examples=100)
@given(
    right=st.fixed_dictionaries(dict.fromkeys(ARMS, right_strategy)),
    row=st.integers(0, 59),
    gates=policies,
)
def test_one_more_right_row_never_fails_a_gate_that_passed(
    right: dict[str, np.ndarray], row: int, gates: Gates
) -> None:
    before = verdicts(measured(right), gates)
    student = right["student"].copy()
    student[row] = True
    after = verdicts(measured(right | {"student": student}), gates)
    assert all(after[gate] for gate, passed in before.items() if passed)


@settings(deadline=None, max_examples=100)
@given(
    latency=st.tuples(st.floats(0.001, 5), st.floats(0.001, 5)),
    size=st.integers(1, 100_000),
    share=st.floats(0.01, 1),
    gates=policies,
)
def test_faster_or_smaller_never_fails_a_gate_that_passed(
    latency: tuple[float, float], size: int, share: float, gates: Gates
) -> None:
    before = verdicts(measured(GOOD, latency, size), gates)
    value, upper = latency
    for better in (
        measured(GOOD, (value * share, upper), size),
        measured(GOOD, (value, upper * share), size),
        measured(GOOD, latency, max(1, int(size * share))),
    ):
        after = verdicts(better, gates)
        assert all(after[gate] for gate, passed in before.items() if passed)
