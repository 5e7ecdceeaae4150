"""What becomes of gates that cannot be judged: no champion, a noisy machine."""

from typing import Any

import pytest

from components.evaluation.judging.gates import decide
from components.shared.recipe.gates import Gates
from components.shared.results import Evaluation
from tests.evaluation.judging.evaluation_factory import (
    GOOD,
    NOISY,
    Made,
    changed,
    make_evaluation,
    without,
)

COMPARED = {
    "champion": {"max_regression": 0.02},
    "latency": {"p95_ms": 1, "ratio_to_champion": 1.1},
}
CHAMPION_GATES = ["gates.champion.max_regression", "gates.latency.ratio_to_champion"]


def alone(state: Any = "first_model", **changes: Any) -> Evaluation:
    """The good student, without a champion."""
    return make_evaluation(without("champion"), champion_state=state, **changes)


def policy(**sections: Any) -> Gates:
    return Gates.model_validate(sections)


@pytest.mark.parametrize(
    ("state", "field"), [("first_model", "first_model"), ("missing", "on_missing_champion")]
)
def test_without_a_champion_the_other_gates_judge_alone_or_it_is_rejected(
    state: str, field: str
) -> None:
    other = {"first_model", "on_missing_champion"} - {field}
    rules = dict.fromkeys(other, "reject")
    decision = decide(alone(state), policy(**COMPARED, **rules, **{field: "promote"}))
    assert decision.verdict == "promote"
    assert [check.gate for check in decision.checks] == ["gates.latency.p95_ms"]
    assert decision.summary.endswith("There is no champion to compare with.")
    assert (decision.champion_version, decision.power) == (None, None)

    rules = dict.fromkeys(other, "promote")
    decision = decide(alone(state), policy(**COMPARED, **rules, **{field: "reject"}))
    assert decision.verdict == "reject"
    failed = [check for check in decision.checks if not check.passed]
    assert [check.gate for check in failed] == CHAMPION_GATES
    assert all(f"gates.{field} is reject" in check.reason for check in failed)


def test_first_model_is_promoted_and_a_lost_alias_is_not_unless_the_recipe_says_so() -> None:
    assert decide(alone("first_model"), policy(**COMPARED)).verdict == "promote"
    assert decide(alone("missing"), policy(**COMPARED)).verdict == "reject"


@pytest.mark.parametrize(
    "sections",
    [{"champion": {"max_regression": 1}}, {"latency": {"ratio_to_champion": 100}}],
)
def test_without_champion_and_other_gates_nothing_is_promoted_unchecked(
    sections: dict[str, Any],
) -> None:
    decision = decide(alone(), policy(**sections, first_model="promote"))
    assert decision.verdict == "reject"
    (check,) = decision.checks
    assert "nothing would be checked" in check.reason


@pytest.mark.parametrize(
    ("state", "field"), [("first_model", "first_model"), ("missing", "on_missing_champion")]
)
def test_rejecting_without_a_champion_holds_where_no_gate_compares_with_one(
    state: Any, field: str
) -> None:
    gates = {"accuracy": {"min": 0.5}}
    assert decide(alone(state), policy(**gates, **{field: "promote"})).verdict == "promote"
    decision = decide(alone(state), policy(**gates, **{field: "reject"}))
    (failed,) = [check for check in decision.checks if not check.passed]
    assert failed.gate == f"gates.{field}"
    assert f"gates.{field} is reject" in failed.reason


@pytest.mark.parametrize("lost", ["champion", "paired", "version", "state"])
def test_champion_that_is_half_there_is_not_taken_for_none(lost: str) -> None:
    whole = make_evaluation()
    evaluation = {
        "champion": lambda: changed(alone(), "champion_version", "3"),
        "paired": lambda: changed(whole, "candidates.0.paired", {}),
        "version": lambda: changed(alone(), "arms", whole.arms),
        "state": lambda: alone("present"),
    }[lost]()
    gates = policy(champion={"max_regression": 1}, accuracy={"min": 0.5})
    decision = decide(evaluation, gates)
    assert decision.verdict == "reject"
    (failed,) = [check for check in decision.checks if not check.passed]
    assert "champion is missing" in failed.reason


def slow_in_noise(latency_ms: float, **arms: Made) -> Evaluation:
    student = Made(GOOD["student"], latency_ms=latency_ms)
    right = GOOD if "champion" in arms else without("champion")
    return make_evaluation(right, noise=NOISY, student=student, **arms)


def test_noise_is_warned_of_and_limits_hold_as_ever_by_default() -> None:
    gates = policy(latency={"p95_ms": 1})
    fast, slow = decide(slow_in_noise(0.5), gates), decide(slow_in_noise(1.0), gates)
    assert (fast.verdict, slow.verdict) == ("promote", "reject")
    for decision in (fast, slow):
        (warning,) = decision.warnings
        assert "noisy" in warning
        assert "61 %" in warning


def test_noise_can_reject_whatever_was_measured() -> None:
    gates = policy(latency={"p95_ms": 1, "ratio_to_teacher": 200}, on_noise="reject")
    decision = decide(slow_in_noise(0.001), gates)
    assert [check.passed for check in decision.checks] == [False, True]
    assert "gates.on_noise is reject" in decision.checks[0].reason
    quiet = make_evaluation(without("champion"))
    assert decide(quiet, gates).verdict == "promote"


def test_in_noise_ratios_can_judge_alone() -> None:
    gates = policy(latency={"p95_ms": 0.001, "ratio_to_champion": 1.1}, on_noise="ratio_only")
    champion = Made(GOOD["champion"], latency_ms=0.5)
    decision = decide(slow_in_noise(0.5, champion=champion), gates)
    assert [check.gate for check in decision.checks] == ["gates.latency.ratio_to_champion"]
    assert decision.verdict == "promote"
    assert "not judged" in decision.warnings[0]
    slower = decide(slow_in_noise(0.6, champion=champion), gates)
    assert slower.verdict == "reject"
    assert decide(make_evaluation(), gates).verdict == "reject"


def test_in_noise_without_a_champion_the_ratio_to_the_teacher_judges() -> None:
    limits = {"p95_ms": 0.001, "ratio_to_champion": 1.1, "ratio_to_teacher": 1.1}
    gates = policy(latency=limits, on_noise="ratio_only")
    teacher = Made(GOOD["teacher"], latency_ms=0.5)
    for latency_ms, verdict in ((0.5, "promote"), (0.6, "reject")):
        decision = decide(slow_in_noise(latency_ms, teacher=teacher), gates)
        assert [check.gate for check in decision.checks] == ["gates.latency.ratio_to_teacher"]
        assert decision.verdict == verdict


def test_in_noise_latency_never_passes_for_want_of_a_ratio() -> None:
    gates = policy(
        accuracy={"min": 0.5},
        latency={"p95_ms": 1000, "ratio_to_champion": 1.1},
        on_noise="ratio_only",
    )
    decision = decide(slow_in_noise(0.01), gates)
    assert decision.verdict == "reject"
    (failed,) = [check for check in decision.checks if not check.passed]
    assert failed.gate == "gates.latency.p95_ms"
    assert "there is no champion for a ratio" in failed.reason


@pytest.mark.parametrize("rule", ["reject", "ratio_only"])
@pytest.mark.parametrize(("figure", "value"), [("drift", float("nan")), ("preempted", -0.1)])
def test_noise_that_is_not_known_rejects(rule: str, figure: str, value: float) -> None:
    evaluation = changed(make_evaluation(), f"noise.{figure}", value)
    limits = {"p95_ms": 1000, "ratio_to_champion": 1000}
    decision = decide(evaluation, policy(latency=limits, on_noise=rule))
    assert decision.verdict == "reject"
    assert f"noise.{figure}" in decision.checks[0].reason
    assert f"noise.{figure}" in decision.warnings[0]
