"""The steps: files in, files out, and how they end."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from components.evaluation import steps
from components.shared.results import Decision, Evaluation

FAST = {"calls": 100.0, "warmup": 5.0}
"""Whole numbers inside a mapping arrive as floats from KFP's local runner."""


@pytest.fixture
def evaluation(problem: Any, arms: dict[str, Path], tmp_path: Path) -> Path:
    path = tmp_path / "evaluation"
    steps.evaluate_student(problem.folder, arms, tmp_path / "none", "", FAST, path)
    return path


def decide(
    evaluation: Path,
    bundles: dict[str, Path],
    problem: Any,
    folder: Path,
    gates: dict[str, Any],
) -> Decision:
    return steps.decide_promotion(
        evaluation=evaluation,
        gates=gates,
        bundles=bundles,
        dataset=problem.folder,
        recipe_name="insects",
        seed=3,
        run_id="run-1",
        registry={"model": "insect-student"},
        decision=folder / "decision",
        report=folder / "report",
        verdict=folder / "verdict",
    )


def test_evaluation_is_written_and_its_figures_are_finite(
    problem: Any, arms: dict[str, Path], tmp_path: Path
) -> None:
    """With 100 calls the bound of p99 is infinite: the file keeps that, the figures do not."""
    path = tmp_path / "evaluation"
    figures = steps.evaluate_student(problem.folder, arms, tmp_path / "none", "", FAST, path)
    written = Evaluation.model_validate_json(path.read_bytes())
    assert written.champion_version is None
    assert written.arms["student"].latency_ms.p99.upper == math.inf
    assert figures["student_accuracy"] == written.arms["student"].accuracy
    assert figures["gap_recovered"] == written.gap_recovered
    assert all(math.isfinite(value) for value in figures.values())


def test_champion_is_measured_when_there_is_a_version(
    problem: Any, arms: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "evaluation"
    steps.evaluate_student(problem.folder, arms, arms["teacher"], "12", FAST, path)
    written = Evaluation.model_validate_json(path.read_bytes())
    assert written.champion_version == "12"
    assert written.arms["champion"].accuracy == written.arms["teacher"].accuracy


def test_damaged_model_ends_with_status_2_and_writes_nothing(
    problem: Any, arms: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out" / "evaluation"
    broken = {**arms, "student": tmp_path / "gone"}
    with pytest.raises(SystemExit) as stopped:
        steps.evaluate_student(problem.folder, broken, tmp_path / "none", "", FAST, path)
    assert stopped.value.code == 2
    assert not path.exists()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["kind"]) == ("error", "user")
    assert "is not a deployable model" in last["message"]


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [({"accuracy": {"min": 0.5}}, "promote"), ({"size": {"max_bytes": 1.0}}, "reject")],
)
def test_decision_report_and_verdict_are_written(
    evaluation: Path,
    bundles: dict[str, Path],
    problem: Any,
    tmp_path: Path,
    gates: dict[str, Any],
    verdict: str,
) -> None:
    decided = decide(evaluation, bundles, problem, tmp_path, gates)
    assert decided.verdict == verdict
    assert (tmp_path / "verdict").read_text() == verdict
    assert Decision.model_validate_json((tmp_path / "decision").read_bytes()) == decided
    page = (tmp_path / "report").read_text()
    assert "<html" in page
    assert "insect-student" in page
    assert decided.summary in page


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({}, "at least one gate"),
        ({"accuracy": {"mn": 0.5}}, "gates.accuracy.mn: unknown field; did you mean min?"),
    ],
)
def test_wrong_gates_end_with_status_2_and_write_nothing(
    evaluation: Path,
    bundles: dict[str, Path],
    problem: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    gates: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        decide(evaluation, bundles, problem, tmp_path / "out", gates)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().out.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_damaged_evaluation_ends_with_status_2(
    bundles: dict[str, Path], problem: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evaluation"
    path.write_text('{"rows": 3}')
    with pytest.raises(SystemExit):
        decide(path, bundles, problem, tmp_path, {"accuracy": {"min": 0.5}})
    assert "not a valid evaluation" in capsys.readouterr().out.splitlines()[-1]


def test_events_follow_the_step(
    problem: Any, arms: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.evaluate_student(problem.folder, arms, tmp_path / "none", "", FAST, tmp_path / "e")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["started", *["measured"] * 4, "finished"]
    assert {event["step"] for event in events} == {"evaluate_student"}
