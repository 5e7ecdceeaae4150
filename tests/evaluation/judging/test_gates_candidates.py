"""Several candidates: all are judged, at a level that allows for their number; one is chosen."""

from typing import Any

import pytest

from components.evaluation.judging.gates import decide
from components.shared.recipe.gates import Gates
from components.shared.results import Decision
from tests.evaluation.judging.evaluation_factory import (
    GOOD,
    Made,
    changed,
    make_evaluation,
    right_rows,
)

STUDENT = GOOD["student"]


def decided(candidates: dict[str, Made], **sections: Any) -> Decision:
    return decide(make_evaluation(candidates=candidates), Gates.model_validate(sections))


def test_one_candidate_that_passes_is_enough() -> None:
    candidates = {
        "float32": Made(STUDENT, size_bytes=90_000),
        "int8": Made(STUDENT, size_bytes=30_000),
        "pruned": Made(right_rows(200), size_bytes=30_000),
    }
    decision = decided(candidates, accuracy={"min": 0.9}, size={"max_bytes": 50_000})
    assert decision.verdict == "promote"
    assert (decision.candidate, decision.student_digest) == ("int8", "digest-of-int8")
    assert {judged.name: judged.passed for judged in decision.candidates} == {
        "float32": False,
        "int8": True,
        "pruned": False,
    }
    assert decision.checks == decision.candidates[1].checks
    assert decision.summary == "int8 meets all 2 gates. 1 of 3 candidates pass."


def test_after_a_rejection_the_candidate_that_fails_fewest_gates_is_named() -> None:
    candidates = {
        "float32": Made(right_rows(200), size_bytes=90_000),
        "int8": Made(STUDENT, size_bytes=60_000),
        "float16": Made(STUDENT, size_bytes=55_000),
    }
    decision = decided(candidates, accuracy={"min": 0.9}, size={"max_bytes": 50_000})
    assert decision.verdict == "reject"
    assert (decision.candidate, decision.student_digest) == ("int8", "digest-of-int8")
    assert decision.checks == decision.candidates[1].checks
    assert decision.summary == (
        "None of 3 candidates meets every gate; int8 comes closest: gates.size.max_bytes failed "
        "(1 of 2 gates)."
    )


def test_more_candidates_make_every_bound_stricter() -> None:
    bounds = []
    for count, level in ((1, 0.95), (2, 0.975), (5, 0.99)):
        candidates = {f"form-{number}": Made(STUDENT) for number in range(count)}
        decision = decided(candidates, accuracy={"min": 0.5}, champion={"max_regression": 0.1})
        assert decision.confidence == pytest.approx(level)
        bounds.append([check.bound for check in decision.checks])
    assert bounds[0] > bounds[1] > bounds[2]
    assert bounds[0][1] > bounds[1][1] > bounds[2][1]


@pytest.mark.parametrize(
    ("prefer", "better", "level"),
    [
        ("latency", {"latency_ms": 0.009}, {"latency_ms": 0.0096}),
        ("size", {"size_bytes": 5_700}, {"size_bytes": 5_701}),
    ],
)
def test_later_candidate_replaces_an_earlier_one_only_if_that_is_worth_it(
    prefer: str, better: dict[str, Any], level: dict[str, Any]
) -> None:
    ripple = [1 + 0.01 * (second % 3) for second in range(21)]
    first = Made(STUDENT, ripple=ripple)
    shifted = ripple[1:] + ripple[:1]
    gates = {"prefer": prefer, "accuracy": {"min": 0.5}}
    chosen = decided({"a": first, "b": Made(STUDENT, ripple=shifted, **better)}, **gates)
    assert chosen.candidate == "b"
    chosen = decided({"a": first, "b": Made(STUDENT, ripple=shifted, **level)}, **gates)
    assert chosen.candidate == "a"


def test_more_accurate_means_by_more_than_a_standard_error() -> None:
    gates = {"prefer": "accuracy", "accuracy": {"min": 0.5}}
    for errors, expected in ((40, "a"), (35, "a"), (33, "b")):  # a standard error is 6.2 rows
        candidates = {"a": Made(right_rows(40)), "b": Made(right_rows(errors))}
        assert decided(candidates, **gates).candidate == expected


def test_candidate_that_fails_is_not_preferred() -> None:
    candidates = {"a": Made(STUDENT), "b": Made(right_rows(300), latency_ms=0.001)}
    assert decided(candidates, prefer="latency", accuracy={"min": 0.9}).candidate == "a"


def test_walk_compares_with_the_candidate_that_is_chosen_so_far() -> None:
    candidates = {
        name: Made(STUDENT, latency_ms=latency)
        for name, latency in (("a", 0.010), ("b", 0.008), ("c", 0.009), ("d", 0.007))
    }
    assert decided(candidates, accuracy={"min": 0.5}).candidate == "d"
    del candidates["d"]
    assert decided(candidates, accuracy={"min": 0.5}).candidate == "b"


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize(
    ("prefer", "path"),
    [
        ("latency", "latency.0.p50.segments.3"),
        ("size", "size_bytes"),
        ("accuracy", "metrics.accuracy.standard_error"),
    ],
)
def test_number_that_cannot_be_used_does_not_change_the_choice(
    position: int, prefer: str, path: str
) -> None:
    """No gate reads it here; so it cannot reject, but nothing is better by it either."""
    best = Made(right_rows(1), latency_ms=0.001, size_bytes=1)
    evaluation = make_evaluation(candidates={"a": Made(STUDENT), "b": best})
    gates = Gates.model_validate({"prefer": prefer, "memory": {"max_bytes": 10**9}})
    assert decide(evaluation, gates).candidate == "b"
    broken = changed(evaluation, f"candidates.{position}.measured.{path}", float("nan"))
    assert decide(broken, gates).candidate == "a"


def test_candidate_with_an_unusable_number_does_not_keep_others_from_promotion() -> None:
    evaluation = make_evaluation(candidates={"a": Made(STUDENT), "b": Made(STUDENT)})
    evaluation = changed(evaluation, "candidates.0.measured.metrics.accuracy.value", float("nan"))
    decision = decide(evaluation, Gates.model_validate({"accuracy": {"min": 0.9}}))
    assert (decision.verdict, decision.candidate) == ("promote", "b")
