"""Nothing that is missing, not finite or impossible ever passes a gate that reads it."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from components.evaluation.judging.gates import decide
from components.shared.recipe.gates import Gates
from components.shared.results import Evaluation
from tests.evaluation.judging.evaluation_factory import (
    GOOD,
    Made,
    changed,
    make_evaluation,
    right_rows,
)

LENIENT: dict[str, Any] = {
    "accuracy": {"min": 0},
    "balanced_accuracy": {"min": 0},
    "macro_f1": {"min": 0},
    "auroc": {"min": 0},
    "log_loss": {"max": 100},
    "calibration_error": {"max": 100},
    "agreement": {"min": 0},
    "worst_slice": {"min_accuracy": 0},
    "retention": {"min": 1e-9},
    "champion": {"max_regression": 1},
    "hard_label": {"min_gain": -1},
    "latency": {
        "p50_ms": 1e9,
        "p95_ms": 1e9,
        "p99_ms": 1e9,
        "ratio_to_champion": 1e9,
        "ratio_to_teacher": 1e9,
    },
    "size": {"max_bytes": 10**12},
    "memory": {"max_bytes": 10**12},
    "on_noise": "reject",
}
READ_BY = {
    "rows": ["accuracy", "log_loss", "retention"],
    "noise.drift": ["latency"],
    "noise.limit": ["latency"],
    "candidates.0.measured.rows": ["accuracy", "champion"],
    "candidates.0.measured.metrics.accuracy.value": ["accuracy", "champion", "retention"],
    "candidates.0.measured.metrics.auroc.value": ["auroc"],
    "candidates.0.measured.metrics.auroc.standard_error": ["auroc"],
    "candidates.0.measured.metrics.log_loss.value": ["log_loss"],
    "candidates.0.measured.metrics.agreement.value": ["agreement"],
    "candidates.0.measured.slices.1.rows": ["worst_slice"],
    "candidates.0.measured.slices.0.metrics.accuracy.value": ["worst_slice"],
    "candidates.0.measured.latency.0.p50.segments.5": ["latency"],
    "candidates.0.measured.latency.0.p95.value": ["latency"],
    "candidates.0.measured.latency.0.p99.segments.0": ["latency"],
    "candidates.0.measured.latency.0.threads": ["latency"],
    "candidates.0.measured.size_bytes": ["size"],
    "candidates.0.measured.footprint.peak_memory_bytes": ["memory"],
    "candidates.0.paired.teacher.both": ["retention"],
    "candidates.0.paired.champion.only_other": ["champion"],
    "candidates.0.paired.hard_label.neither": ["hard_label"],
    "arms.teacher.metrics.accuracy.value": ["retention"],
    "arms.champion.rows": ["champion"],
    "arms.champion.latency.0.p50.segments.2": ["latency"],
    "arms.teacher.latency.0.p50.segments.7": ["latency"],
}
"""Paths, and the gates that read them."""


def measured() -> Evaluation:
    ripple = [1.0, 1.01, 0.99, 1.02, 1.0, 0.98, 1.01, 1.0]
    made = {name: Made(right, ripple=ripple) for name, right in GOOD.items()}
    student = made["student"]._replace(slices={"north": (90, 100), "south": (48, 50)})
    return make_evaluation(**made | {"student": student})


def leaves(part: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The path of every number."""
    if isinstance(part, BaseModel):
        children = [(name, getattr(part, name)) for name in type(part).model_fields]
    elif isinstance(part, dict):
        children = list(part.items())
    elif isinstance(part, list):
        children = [(str(position), item) for position, item in enumerate(part)]
    else:
        if isinstance(part, int | float):
            yield ".".join(path)
        return
    for name, child in children:
        yield from leaves(child, (*path, name))


def shown(path: str) -> str:
    """A path as reasons write it."""
    parts = path.replace("candidates.0.", "candidates.float32.").split(".")
    text = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return text.removeprefix(".")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_whatever_number_is_lost_it_is_either_not_read_or_it_rejects_and_is_named(
    value: float | None,
) -> None:
    evaluation, gates = measured(), Gates.model_validate(LENIENT)
    good = decide(evaluation, gates)
    assert good.verdict == "promote"
    read = set()
    for path in leaves(evaluation):
        decision = decide(changed(evaluation, path, value), gates)
        if decision == good:
            continue
        read.add(path)
        assert decision.verdict == "reject", path
        reasons = [check.reason for check in decision.checks if not check.passed]
        assert all(shown(path) in reason for reason in reasons), (path, reasons)
    assert set(READ_BY) <= read


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0.9", True, -1])
@pytest.mark.parametrize(
    ("path", "section"), [(path, section) for path in READ_BY for section in READ_BY[path]]
)
def test_unusable_number_fails_the_gate_that_reads_it(path: str, section: str, value: Any) -> None:
    gates = Gates.model_validate({section: LENIENT[section], "on_noise": "reject"})
    assert decide(measured(), gates).verdict == "promote"
    decision = decide(changed(measured(), path, value), gates)
    assert decision.verdict == "reject"
    failed = [check for check in decision.checks if not check.passed]
    assert {(check.observed, check.bound) for check in failed} == {(None, None)}
    assert all(shown(path) in check.reason for check in failed)


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("candidates.0.measured", "size"),
        ("candidates.0.measured.metrics", "accuracy"),
        ("candidates.0.measured.metrics.auroc", "auroc"),
        ("candidates.0.measured.latency", "latency"),
        ("candidates.0.measured.latency.0", "latency"),
        ("candidates.0.measured.latency.0.p95", "latency"),
        ("candidates.0.measured.latency.0.p95.segments", "latency"),
        ("candidates.0.measured.slices", "worst_slice"),
        ("candidates.0.measured.slices.1", "worst_slice"),
        ("candidates.0.measured.footprint", "memory"),
        ("candidates.0.paired", "champion"),
        ("candidates.0.paired.teacher", "retention"),
        ("arms.teacher", "retention"),
        ("arms.hard_label", "hard_label"),
        ("arms.champion.latency", "latency"),
        ("noise", "latency"),
    ],
)
def test_missing_section_rejects_and_is_named(path: str, section: str) -> None:
    gates = Gates.model_validate({section: LENIENT[section], "on_noise": "reject"})
    decision = decide(changed(measured(), path, None), gates)
    assert decision.verdict == "reject"
    failed = [check.reason for check in decision.checks if not check.passed]
    assert failed
    assert all(f"{shown(path)} is missing" in reason for reason in failed)


@pytest.mark.parametrize("name", ["latency", "segments"])
def test_empty_list_is_no_measurement(name: str) -> None:
    path = {"latency": "latency", "segments": "latency.0.p95.segments"}[name]
    evaluation = changed(measured(), f"candidates.0.measured.{path}", [])
    decision = decide(evaluation, Gates.model_validate({"latency": {"p95_ms": 1e9}}))
    assert decision.verdict == "reject"
    assert "candidates.float32.measured.latency[0]" in decision.checks[0].reason


@pytest.mark.parametrize("section", [{"p95_ms": 1e9}, {"ratio_to_teacher": 1e9}])
def test_too_few_segments_for_a_bound_reject(section: dict[str, float]) -> None:
    ripple = [1.0] * 4
    made = {name: Made(right, ripple=ripple) for name, right in GOOD.items()}
    gates = Gates.model_validate({"latency": section})
    decision = decide(make_evaluation(**made), gates)
    assert decision.verdict == "reject"
    assert "too few segments" in decision.checks[0].reason
    assert "raise evaluation.latency.budget_s" in decision.checks[0].reason


def test_ratio_of_measurements_of_unequal_length_rejects() -> None:
    evaluation = changed(measured(), "arms.champion.latency.0.p50.segments", [1.0] * 7)
    decision = decide(evaluation, Gates.model_validate({"latency": {"ratio_to_champion": 1e9}}))
    assert decision.verdict == "reject"
    assert "arms.champion.latency[0].p50.segments has 7" in decision.checks[0].reason


@pytest.mark.parametrize(("name", "value"), [("both", 1), ("neither", 0), ("both", 0.5)])
def test_counts_that_cannot_be_reject(name: str, value: float) -> None:
    path = f"candidates.0.paired.champion.{name}"
    gates = Gates.model_validate({"champion": {"max_regression": 1}})
    decision = decide(changed(measured(), path, value), gates)
    assert decision.verdict == "reject"
    assert "candidates.float32.paired.champion" in decision.checks[0].reason


def test_counts_that_contradict_the_accuracies_reject() -> None:
    other = make_evaluation(GOOD | {"student": right_rows(400)}).candidates[0]
    evaluation = changed(measured(), "candidates.0.paired", other.paired)
    decision = decide(evaluation, Gates.model_validate({"champion": {"max_regression": 1}}))
    assert decision.verdict == "reject"
    assert "candidates.float32.measured" in decision.checks[0].reason


def test_teacher_that_is_never_right_cannot_be_retained() -> None:
    evaluation = make_evaluation(GOOD | {"teacher": right_rows(800)})
    decision = decide(evaluation, Gates.model_validate({"retention": {"min": 0.5}}))
    assert decision.verdict == "reject"
    assert "the teacher is never right" in decision.checks[0].reason
