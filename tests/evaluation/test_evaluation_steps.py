"""The steps: files in, files out, and how they end."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluation import steps
from components.shared.bundle import read_bundle
from components.shared.deployable import DEPLOYABLE, Deployable
from components.shared.files import write_atomically
from components.shared.recipe import Recipe
from components.shared.results import Decision, Evaluation

FAST = {"latency": {"budget_s": 0.01, "attempts": 1.0}}
"""Whole numbers inside a mapping arrive as floats from KFP's local runner."""
RECIPE = {
    "name": "insects",
    "data": {"uri": "insects.parquet", "input": {"kind": "tabular", "columns": ["a"]}},
    "teacher": {"source": "train", "model": {"family": "mlp"}, "training": {"steps": 5}},
    "student": {"model": {"family": "mlp"}, "training": {"steps": [5]}},
    "gates": {"accuracy": {"min": 0.5}},
    "registry": {"model": "insect-student"},
}


@pytest.fixture
def paths(
    problem: Any, arms: dict[str, Path], candidates: Path, no_champion: Path, tmp_path: Path
) -> dict[str, Any]:
    """What evaluate_student takes, but for its section of the recipe."""
    return {
        "dataset": problem.folder,
        "arms": arms,
        "candidates": shutil.copytree(candidates, tmp_path / "candidates"),
        "champion": no_champion,
        "output": tmp_path / "results" / "evaluation",
    }


@pytest.fixture
def evaluation(paths: dict[str, Any]) -> Path:
    steps.evaluate_student(**paths, evaluation_spec=FAST)
    return Path(paths["output"])


def test_evaluation_is_written_and_its_figures_are_finite(paths: dict[str, Any]) -> None:
    figures = steps.evaluate_student(**paths, evaluation_spec=FAST)
    written = Evaluation.model_validate_json(paths["output"].read_bytes())
    assert figures["student_accuracy"] == written.arms["student"].accuracy
    assert (
        figures["candidate_float32_p95_ms"] == written.candidates[0].measured.latency_ms.p95.value
    )
    assert figures["gap_recovered"] == written.gap_recovered
    assert all(math.isfinite(value) for value in figures.values())


def test_damaged_model_ends_with_status_2_and_writes_nothing(
    paths: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths["arms"] = {**paths["arms"], "teacher": tmp_path / "gone"}
    with pytest.raises(SystemExit) as stopped:
        steps.evaluate_student(**paths, evaluation_spec=FAST)
    assert stopped.value.code == 2
    assert not paths["output"].exists()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["kind"]) == ("error", "user")
    assert "is not a deployable model" in last["message"]


def test_every_model_is_told_as_an_event_of_the_step(
    paths: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    steps.evaluate_student(**paths, evaluation_spec=FAST)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["step"] for event in events} == {"evaluate_student"}
    assert (events[0]["event"], events[-1]["event"]) == ("started", "finished")
    measured = [event["model"] for event in events if event["event"] == "measured"]
    assert len(measured) == 5
    assert measured[-1] == "candidate_float32"
    written = Evaluation.model_validate_json(paths["output"].read_bytes())
    assert written.diagnosis is not None
    found = [event["topic"] for event in events if event["event"] == "diagnosed"]
    assert found == [finding.topic for finding in written.diagnosis.notable]


def test_diagnosis_takes_what_bundle_checks_and_rows_say(
    paths: dict[str, Any], bundles: dict[str, Path], checked: Path
) -> None:
    def severities(**given: Any) -> dict[str, str]:
        steps.evaluate_student(**paths, **given, evaluation_spec=FAST)
        written = Evaluation.model_validate_json(paths["output"].read_bytes())
        assert written.diagnosis is not None
        assert written.teacher_lead is not None
        both = written.teacher_lead.both + written.teacher_lead.only_student
        assert both / written.rows == written.teacher.accuracy
        return {one.topic: one.severity for one in written.diagnosis.findings}

    missing = {"capacity", "length", "saturation", "pool_size", "pool_confidence"}
    found = severities()
    assert {topic for topic in found if found[topic] == "not_measured"} == {
        *missing,
        "pool_coverage",
    }
    found = severities(student_bundle=made_from(bundles["student"], paths), validation=checked)
    assert found["pool_coverage"] == "clear"
    assert "not_measured" not in {found[topic] for topic in missing}


def test_a_bundle_of_another_student_ends_with_status_2(
    paths: dict[str, Any], bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        steps.evaluate_student(**paths, student_bundle=bundles["student"], evaluation_spec=FAST)
    assert stopped.value.code == 2
    assert "not the bundle that the candidates" in capsys.readouterr().out.splitlines()[-1]
    assert not paths["output"].exists()


def made_from(bundle: Path, paths: dict[str, Any]) -> Path:
    """The bundle, and that the candidate was made from it."""
    path = paths["candidates"] / "float32" / DEPLOYABLE
    made = Deployable.model_validate_json(path.read_bytes())
    made = made.model_copy(update={"bundle_digest": read_bundle(bundle).digest})
    write_atomically(path, made.model_dump_json())
    return bundle


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [({"accuracy": {"min": 0.5}}, "promote"), ({"size": {"max_bytes": 1.0}}, "reject")],
)
def test_decision_and_verdict_are_written(
    evaluation: Path, tmp_path: Path, gates: dict[str, Any], verdict: str
) -> None:
    decided = steps.decide_promotion(evaluation, gates, tmp_path / "decision", tmp_path / "verdict")
    assert decided.verdict == verdict
    assert (tmp_path / "verdict").read_text() == verdict
    assert Decision.model_validate_json((tmp_path / "decision").read_bytes()) == decided


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({}, "at least one gate"),
        ({"accuracy": {"mn": 0.5}}, "gates.accuracy.mn: unknown field; did you mean min?"),
    ],
)
def test_wrong_gates_end_with_status_2_and_write_nothing(
    evaluation: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    gates: dict[str, Any],
    message: str,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        steps.decide_promotion(evaluation, gates, out / "decision", out / "verdict")
    assert stopped.value.code == 2
    assert message in capsys.readouterr().out.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format_version": 2, "rows": 3}', "not a valid evaluation"),
        ('{"format_version": 1}', "format_version is 1, expected 2"),
    ],
)
def test_damaged_evaluation_ends_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "evaluation"
    path.write_text(content)
    with pytest.raises(SystemExit):
        steps.decide_promotion(
            path, {"accuracy": {"min": 0.5}}, tmp_path / "decision", tmp_path / "verdict"
        )
    assert message in capsys.readouterr().out.splitlines()[-1]


def test_report_and_summary_are_written_from_files_alone(
    paths: dict[str, Any],
    evaluation: Path,
    bundles: dict[str, Path],
    checked: Path,
    tmp_path: Path,
) -> None:
    recipe = Recipe.model_validate(RECIPE).model_dump_json(exclude_none=True)
    write_atomically(tmp_path / "recipe", recipe)
    decided = steps.decide_promotion(
        evaluation, RECIPE["gates"], tmp_path / "decision", tmp_path / "verdict"
    )
    shown = steps.report_results(
        recipe=tmp_path / "recipe",
        dataset=paths["dataset"],
        validation=checked,
        evaluation=evaluation,
        decision=tmp_path / "decision",
        champion=paths["champion"],
        bundles=bundles,
        run_id="run-1",
        report=tmp_path / "report",
        summary=tmp_path / "summary",
    )
    page = (tmp_path / "report").read_text()
    assert "insect-student" in page
    assert decided.summary in page
    assert "2 columns moved" in page
    assert 'id="diagnosis"' in page
    assert "## Why distillation did or did not help" in (tmp_path / "summary").read_text()
    assert "# Promote" in (tmp_path / "summary").read_text()
    assert "**Data:** 2 columns moved" in (tmp_path / "summary").read_text()
    written = Evaluation.model_validate_json(evaluation.read_bytes())
    assert np.sum(shown.confusion) == written.rows
    assert shown.thresholds == sorted(shown.thresholds, reverse=True)
    assert len(shown.thresholds) == len(shown.true_positive_rates)
