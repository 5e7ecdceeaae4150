"""The decision: what promotes, what rejects, and what it says."""

from typing import Any

import pytest

from components.evaluation.judging.gates import decide
from components.shared.recipe.gates import AtLeast, BytesGate, Gates, LatencyGate
from components.shared.results import Check, Decision, Evaluation
from tests.evaluation.judging.evaluation_factory import (
    GOOD,
    ROWS,
    Made,
    changed,
    make_evaluation,
    right_rows,
)

ALL_GATES: dict[str, Any] = {
    "accuracy": {"min": 0.9},
    "balanced_accuracy": {"min": 0.9},
    "macro_f1": {"min": 0.9},
    "auroc": {"min": 0.9},
    "log_loss": {"max": 0.5},
    "calibration_error": {"max": 0.05},
    "agreement": {"min": 0.9},
    "worst_slice": {"min_accuracy": 0.8},
    "retention": {"min": 0.93},
    "champion": {"max_regression": 0.02},
    "hard_label": {"min_gain": 0},
    "latency": {
        "p50_ms": 0.5,
        "p95_ms": 1,
        "p99_ms": 2,
        "ratio_to_champion": 1.1,
        "ratio_to_teacher": 1.1,
    },
    "size": {"max_bytes": 50_000},
    "memory": {"max_bytes": 10_000_000},
}
GATE_PATHS = [
    "gates.accuracy.min",
    "gates.balanced_accuracy.min",
    "gates.macro_f1.min",
    "gates.auroc.min",
    "gates.log_loss.max",
    "gates.calibration_error.max",
    "gates.agreement.min",
    "gates.worst_slice.min_accuracy",
    "gates.retention.min",
    "gates.champion.max_regression",
    "gates.hard_label.min_gain",
    "gates.latency.p50_ms",
    "gates.latency.p95_ms",
    "gates.latency.p99_ms",
    "gates.latency.ratio_to_champion",
    "gates.latency.ratio_to_teacher",
    "gates.size.max_bytes",
    "gates.memory.max_bytes",
]
SLICED = {"north": (285, 300), "south": (186, 200), "nowhere": (0, 3)}


def student(**made: Any) -> Evaluation:
    """The good student, with more set."""
    return make_evaluation(student=Made(GOOD["student"], **made))


def policy(**sections: Any) -> Gates:
    return Gates.model_validate(sections)


def only(decision: Decision) -> Check:
    (check,) = decision.checks
    return check


def test_good_student_is_promoted_and_every_gate_is_checked() -> None:
    decision = decide(student(slices=SLICED), policy(**ALL_GATES))
    assert decision.verdict == "promote"
    assert [check.gate for check in decision.checks] == GATE_PATHS
    assert all(check.passed for check in decision.checks)
    assert (decision.candidate, decision.student_digest) == ("float32", "digest-of-float32")
    assert [judged.name for judged in decision.candidates] == ["float32"]
    assert decision.candidates[0].checks == decision.checks
    assert decision.champion_version == "3"
    assert decision.confidence == 0.95
    assert decision.summary == "The student meets all 18 gates."


@pytest.mark.parametrize("gate", GATE_PATHS)
def test_every_gate_can_reject(gate: str) -> None:
    section, field = gate.split(".")[1:]
    beyond = {
        "min": 1.0,
        "max": 1e-6,
        "min_accuracy": 1.0,
        "max_regression": 0.0,
        "min_gain": 0.9,
        "max_bytes": 1,
    }
    decision = decide(student(slices=SLICED), policy(**{section: {field: beyond.get(field, 1e-6)}}))
    assert decision.verdict == "reject"
    assert (only(decision).gate, only(decision).passed) == (gate, False)
    assert decision.summary == f"{gate} failed (1 of 1 gate)."


def test_slow_student_is_rejected_with_observed_and_threshold_in_the_reason() -> None:
    ripple = [1 + second / 1000 for second in range(21)]
    decision = decide(
        student(latency_ms=0.0125, ripple=ripple), policy(latency={"p95_ms": 0.00001})
    )
    assert decision.verdict == "reject"
    check = only(decision)
    assert check.observed == pytest.approx(0.015 * 1.010)
    assert check.bound == pytest.approx(0.015 * 1.014)
    assert check.threshold == 0.00001
    assert check.reason == (
        "Latency p95 is 0.01515 ms (upper bound 0.01521 ms at 95 % confidence); "
        "gates.latency.p95_ms asks for at most 0.00001 ms, which it misses."
    )


@pytest.mark.parametrize(
    ("sections", "observed", "threshold"),
    [
        ({"accuracy": {"min": 0.945}}, 0.95, 0.945),
        ({"auroc": {"min": 0.985}}, 0.99, 0.985),
        ({"log_loss": {"max": 0.205}}, 0.2, 0.205),
        ({"retention": {"min": 0.985}}, 760 / 770, 0.985),
        ({"champion": {"max_regression": 0}}, 1 / 800, 0),
        ({"latency": {"p95_ms": 0.01201}}, 0.012, 0.01201),
        ({"latency": {"ratio_to_teacher": 1}}, 1, 1),
    ],
)
def test_gate_is_judged_on_the_bound_and_not_on_the_point_estimate(
    sections: dict[str, Any], observed: float, threshold: float
) -> None:
    ripple = [1 + 0.01 * (second % 2) for second in range(21)]
    teacher = Made(GOOD["teacher"], ripple=ripple[1:] + ripple[:1])
    evaluation = make_evaluation(student=Made(GOOD["student"], ripple=ripple), teacher=teacher)
    check = only(decide(evaluation, policy(**sections)))
    assert check.observed == pytest.approx(observed, rel=0.011)
    assert check.threshold == threshold
    assert not check.passed


def test_gain_over_hard_labels_must_be_beyond_chance() -> None:
    barely = GOOD | {"hard_label": right_rows(42)}
    check = only(decide(make_evaluation(barely), policy(hard_label={"min_gain": 0})))
    assert check.observed == pytest.approx(2 / 800)
    assert (check.direction, check.passed) == ("above", False)


@pytest.mark.parametrize(("gate", "what"), [("size", "File size"), ("memory", "Peak memory")])
def test_bytes_are_judged_exactly(gate: str, what: str) -> None:
    policy_ = policy(**{gate: {"max_bytes": 6_000}})
    assert only(decide(student(size_bytes=6_000, memory_bytes=6_000), policy_)).passed
    check = only(decide(student(size_bytes=6_001, memory_bytes=6_001), policy_))
    assert not check.passed
    assert check.reason == (
        f"{what} is 6,001 bytes; gates.{gate}.max_bytes asks for at most 6,000 bytes, which it "
        "misses."
    )


def test_more_confidence_asks_for_more() -> None:
    sections = {"accuracy": {"min": 0.93}}
    assert decide(student(), policy(confidence=0.9, **sections)).verdict == "promote"
    assert decide(student(), policy(confidence=0.999, **sections)).verdict == "reject"


def test_ratio_of_latencies_is_taken_segment_by_segment() -> None:
    """The machine got ten times slower on the way; the student stayed 5 % slower throughout."""
    drift = [1.0] * 10 + [10.0] * 10
    champion = Made(GOOD["champion"], ripple=drift)
    evaluation = make_evaluation(
        student=Made(GOOD["student"], latency_ms=0.0105, ripple=drift), champion=champion
    )
    check = only(decide(evaluation, policy(latency={"ratio_to_champion": 1.06})))
    assert check.observed == check.bound == pytest.approx(1.05)
    assert check.passed
    assert not only(decide(evaluation, policy(latency={"ratio_to_champion": 1.04}))).passed


def test_ratio_is_judged_at_the_percentile_that_the_recipe_names() -> None:
    evaluation = student()
    path = "candidates.0.measured.latency.0.p99"
    slow_tail = evaluation.candidates[0].measured.latency[0].p99
    slow_tail = slow_tail.model_copy(update={"segments": [9.0] * len(slow_tail.segments)})
    evaluation = changed(evaluation, path, slow_tail)
    limits = {"ratio_to_champion": 1.5}
    assert decide(evaluation, policy(latency=limits)).verdict == "promote"
    decision = decide(evaluation, policy(latency={**limits, "ratio_percentile": "p99"}))
    assert decision.verdict == "reject"
    assert only(decision).observed == pytest.approx(9 / 0.015, rel=0.01)
    assert only(decision).reason.startswith("Latency p99 relative to the champion's is ")


def test_models_that_were_timed_differently_have_no_ratio() -> None:
    evaluation = changed(student(), "arms.champion.latency.0.threads", 2)
    check = only(decide(evaluation, policy(latency={"ratio_to_champion": 100})))
    assert not check.passed
    assert "arms.champion.latency[0].threads is 2" in check.reason


def test_worst_slice_is_the_one_with_the_lowest_bound_and_is_named() -> None:
    slices = {"north": (270, 300), "south": (36, 40), "nowhere": (0, 3)}
    gate = {"min_accuracy": 0.8}
    check = only(decide(student(slices=slices), policy(worst_slice=gate)))
    assert check.observed == 0.9
    assert not check.passed
    assert "Accuracy on the worst slice, where region is south (40 rows), is 90 %" in check.reason
    check = only(decide(student(slices=slices), policy(worst_slice=gate | {"min_rows": 41})))
    assert check.passed
    assert "where region is north" in check.reason


def test_without_a_slice_that_is_large_enough_the_gate_fails() -> None:
    for slices in ({}, {"north": (29, 29)}):
        check = only(decide(student(slices=slices), policy(worst_slice={"min_accuracy": 0.1})))
        assert not check.passed
        assert "no slice in candidates.float32.measured.slices has 30 rows" in check.reason


def test_without_candidates_nothing_is_promoted() -> None:
    skipped = [{"name": "int8_static", "reason": "It predicts other classes."}]
    evaluation = Evaluation.model_validate(
        make_evaluation(candidates={}).model_dump() | {"skipped": skipped}
    )
    decision = decide(evaluation, policy(size={"max_bytes": 10**9}))
    assert decision.verdict == "reject"
    assert not only(decision).passed
    assert decision.summary == (
        "There is no candidate to judge (int8_static: It predicts other classes)."
    )
    assert (decision.candidate, decision.candidates) == ("float32", [])
    assert decision.student_digest == evaluation.arms["student"].model_digest


def test_power_is_that_of_the_judged_candidate_and_warned_of_when_low() -> None:
    decision = decide(student(), policy(champion={"max_regression": 0.02}))
    assert decision.power is not None
    assert decision.power.rows == ROWS
    assert decision.power.discordance == pytest.approx(9 / 802)  # 7 rows, and one each way
    assert decision.power.sufficient
    assert decision.warnings == []
    decision = decide(student(), policy(champion={"max_regression": 0.002}))
    assert decision.power is not None
    assert not decision.power.sufficient
    (warning,) = decision.warnings
    assert "With 800 test rows" in warning
    assert f"{decision.power.rows_needed:,} test rows" in warning


def test_margin_of_zero_has_no_number_of_rows_that_is_enough() -> None:
    decision = decide(student(), policy(champion={"max_regression": 0}))
    assert decision.power is not None
    assert decision.power.rows_needed is None
    assert "no number of rows" in decision.warnings[0]


def test_no_power_without_a_comparison_with_a_champion() -> None:
    assert decide(student(), policy(accuracy={"min": 0.5})).power is None
    alone = make_evaluation({name: GOOD[name] for name in GOOD if name != "champion"})
    gates = policy(accuracy={"min": 0.5}, champion={"max_regression": 0.1})
    assert decide(alone, gates).power is None


def test_champion_that_may_have_seen_the_test_rows_is_warned_of() -> None:
    evaluation = make_evaluation(champion_dataset="e" * 64)
    (warning,) = decide(evaluation, policy(champion={"max_regression": 0.02})).warnings
    assert "flatter" in warning
    assert decide(evaluation, policy(accuracy={"min": 0.5})).warnings == []


def test_champion_without_a_champion_gate_is_only_recorded() -> None:
    decision = decide(student(), policy(accuracy={"min": 0.9}))
    assert decision.verdict == "promote"
    assert decision.champion_version == "3"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"confidence": 2.0, "size": BytesGate(max_bytes=1)},
        {"accuracy": AtLeast.model_construct(min=float("nan"))},
        {"latency": LatencyGate.model_construct(p95_ms=float("inf"))},
    ],
)
def test_policy_that_skipped_validation_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one gate|less than 1|finite"):
        decide(student(), Gates.model_construct(**broken))
