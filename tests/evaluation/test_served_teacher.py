"""A teacher that was not run here: measured by what it said of the test rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluation import steps
from components.evaluation.judging.gates import decide
from components.evaluation.measuring.evaluate import evaluate
from components.shared.dataset import Dataset
from components.shared.deployable import DEPLOYABLE
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.predictions import write_predictions
from components.shared.recipe import EvaluationSpec, Gates, Recipe, TabularInput
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import Evaluation
from components.shared.teacher import TEACHER, EnsembleMember, EnsembleModel, TeacherRecord
from tests.evaluation.html_page import Page

SPEC = EvaluationSpec(latency=LatencySpec(budget_s=0.01, attempts=1))
RECORD = TeacherRecord(
    source="the recipe",
    classes=["ant", "bee", "cat"],
    input=TabularInput(columns=["a", "b", "c", "d"]),
    preprocessing=None,
    model=EnsembleModel(
        members=[
            EnsembleMember(digest="1" * 64, weight=0.75, described="models:/insects/3"),
            EnsembleMember(digest="2" * 64, weight=0.25, described="insects behind http://host"),
        ],
        soft_labels_digest="3" * 64,
    ),
)
FILE_FIGURES = {"parameters", "size_bytes", "latency", "footprint", "model_digest", "bundle_digest"}


@pytest.fixture(scope="module")
def predictions(problem: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the teacher of the usual arms says, in pieces."""
    folder = tmp_path_factory.mktemp("served") / "teacher"
    data = Dataset.open(problem.folder)
    weights = problem.weights.astype(np.float32)
    write_predictions(
        folder,
        ((rows, rows.inputs @ weights) for rows in data.batches("test", rows=37)),
        described=RECORD.in_words,
        teacher_digest=RECORD.digest,
        dataset_digest=data.manifest.digest,
        classes=data.manifest.classes,
    )
    return folder


@pytest.fixture(scope="module")
def served_arms(arms: dict[str, Path], predictions: Path) -> dict[str, Path]:
    return {**arms, "teacher": predictions}


@pytest.fixture(scope="module")
def served(
    problem: Any, served_arms: dict[str, Path], candidates: Path, no_champion: Path
) -> Evaluation:
    return evaluate(problem.folder, served_arms, candidates, no_champion, SPEC)


def test_quality_is_that_of_the_same_teacher_run_as_a_file(
    served: Evaluation, problem: Any, arms: dict[str, Path], candidates: Path, no_champion: Path
) -> None:
    usual = evaluate(problem.folder, arms, candidates, no_champion, SPEC)
    assert served.served_teacher is not None
    assert "teacher" not in served.arms
    found = served.served_teacher.model_dump(
        exclude={"described", "teacher_digest", "predictions_digest"}
    )
    expected = usual.arms["teacher"].model_dump(exclude=FILE_FIGURES)
    assert found.pop("metrics").keys() == expected["metrics"].keys()
    assert found["confusion"] == expected["confusion"]
    assert served.teacher.accuracy == usual.teacher.accuracy
    assert served.paired == usual.paired
    assert (served.gap_recovered, served.retention) == (usual.gap_recovered, usual.retention)
    agreement = served.arms["student"].metrics["agreement"]
    assert agreement == usual.arms["student"].metrics["agreement"]
    assert served.served_teacher.metrics["log_loss"].value == pytest.approx(
        usual.arms["teacher"].metrics["log_loss"].value, rel=1e-5
    )


def test_gates_on_quality_judge_and_a_gate_on_its_latency_cannot(served: Evaluation) -> None:
    gates = {"retention": {"min": 0.5}, "agreement": {"min": 0.5}}
    assert decide(served, Gates.model_validate(gates)).verdict == "promote"
    ratio = {**gates, "latency": {"ratio_to_teacher": 2.0}}
    decided = decide(served, Gates.model_validate(ratio))
    (failed,) = [check for check in decided.checks if not check.passed]
    assert failed.gate == "gates.latency.ratio_to_teacher"
    assert "served_teacher.latency is missing" in failed.reason


def test_an_evaluation_survives_its_file(served: Evaluation) -> None:
    assert Evaluation.model_validate_json(served.model_dump_json()) == served


def test_predictions_of_other_data_or_changed_ones_are_refused(
    problem: Any,
    served_arms: dict[str, Path],
    predictions: Path,
    candidates: Path,
    no_champion: Path,
    tmp_path: Path,
) -> None:
    record = json.loads((predictions / "predictions.json").read_text())
    table = (predictions / "predictions.arrow").read_bytes()
    for changed, content, message in (
        ({"dataset_digest": "e" * 64}, table, "of the data set eeeeeeeeeeee"),
        ({}, table[:-9] + b"x" + table[-8:], "not the file"),
    ):
        folder = tmp_path / message[:5]
        folder.mkdir()
        (folder / "predictions.json").write_text(json.dumps({**record, **changed}))
        (folder / "predictions.arrow").write_bytes(content)
        with pytest.raises(UserError, match=message):
            evaluate(
                problem.folder, {**served_arms, "teacher": folder}, candidates, no_champion, SPEC
            )


def test_a_test_row_without_a_prediction_is_named(
    problem: Any, served_arms: dict[str, Path], candidates: Path, no_champion: Path, tmp_path: Path
) -> None:
    data = Dataset.open(problem.folder)
    (rows,) = data.batches("test", rows=1000)
    weights = problem.weights.astype(np.float32)
    write_predictions(
        tmp_path / "teacher",
        [(part, part.inputs @ weights) for part in (rows.part(0, 100), rows.part(101, 240))],
        described="an ensemble",
        teacher_digest=RECORD.digest,
        dataset_digest=data.manifest.digest,
        classes=data.manifest.classes,
    )
    arms = {**served_arms, "teacher": tmp_path / "teacher"}
    with pytest.raises(UserError, match="ensemble has no prediction for the test row 'row-100'"):
        evaluate(problem.folder, arms, candidates, no_champion, SPEC)


def test_the_report_says_what_the_teacher_is_and_what_was_not_measured(
    problem: Any,
    served_arms: dict[str, Path],
    candidates: Path,
    no_champion: Path,
    bundles: dict[str, Path],
    checked: Path,
    tmp_path: Path,
) -> None:
    figures = steps.evaluate_student(
        problem.folder,
        served_arms,  # type: ignore[arg-type]
        candidates,
        no_champion,
        SPEC.model_dump(mode="json"),
        tmp_path / "evaluation",
    )
    assert figures["teacher_accuracy"] > 0.5
    assert "teacher_p95_ms" not in figures
    gates = {"accuracy": {"min": 0.5}, "retention": {"min": 0.5}}
    steps.decide_promotion(
        tmp_path / "evaluation", gates, tmp_path / "decision", tmp_path / "verdict"
    )
    recipe = {
        "name": "insects",
        "data": {"uri": "insects.parquet", "input": {"kind": "tabular", "columns": ["a"]}},
        "teacher": {"source": "train", "model": {"family": "mlp"}, "training": {"steps": 5}},
        "student": {"model": {"family": "mlp"}, "training": {"steps": [5]}},
        "gates": gates,
        "registry": {"model": "insect-student"},
    }
    write_atomically(tmp_path / "recipe", Recipe.model_validate(recipe).model_dump_json())
    write_atomically(tmp_path / "teacher" / TEACHER, RECORD.model_dump_json())
    steps.report_results(
        recipe=tmp_path / "recipe",
        dataset=problem.folder,
        validation=checked,
        evaluation=tmp_path / "evaluation",
        decision=tmp_path / "decision",
        champion=no_champion,
        bundles={**bundles, "teacher": tmp_path / "teacher"},  # type: ignore[dict-item]
        run_id="run-7",
        report=tmp_path / "report.html",
        summary=tmp_path / "summary.md",
    )
    page = Page((tmp_path / "report.html").read_text())
    described = "an ensemble of 2 teachers: 0.75 of models:/insects/3, 0.25 of insects behind"
    assert described in page.text("section", id="models")
    assert "which was not run here" in page.text("section", id="models")
    assert described in page.text("section", id="provenance")
    assert RECORD.digest in page.text("section", id="provenance")
    assert page.unbalanced == []


def test_an_imported_file_may_be_of_less_precision_than_one_of_our_own(
    problem: Any,
    arms: dict[str, Path],
    make_model: Any,
    candidates: Path,
    no_champion: Path,
    tmp_path: Path,
) -> None:
    folder = make_model(
        tmp_path / "teacher", problem.weights, dataset_digest=problem.digest, scale=1.01
    )
    description = json.loads((folder / DEPLOYABLE).read_text())
    write_atomically(folder / DEPLOYABLE, json.dumps({**description, "imported": True}))
    found = evaluate(problem.folder, {**arms, "teacher": folder}, candidates, no_champion, SPEC)
    assert found.arms["teacher"].latency_ms.calls > 0
