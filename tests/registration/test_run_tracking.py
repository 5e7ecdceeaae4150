"""The MLflow run of a pipeline run."""

import json
from pathlib import Path

import pytest
import yaml
from pipeline_run_files import CANDIDATE, CLASSES, IMAGE, RECIPE

from components.registration import figures, tags
from components.registration.promotion.subject import ChampionMoved
from components.shared import events, telemetry
from components.shared.bundle import BUNDLE
from components.shared.deployable import DEPLOYABLE
from components.shared.recipe import Recipe
from components.shared.teacher import TEACHER, EnsembleMember, EnsembleModel, TeacherRecord


def _artifacts(client, run_id: str) -> set[str]:
    pending, files = [""], set()
    while pending:
        for file in client.list_artifacts(run_id, pending.pop()):
            (pending.append if file.is_dir else files.add)(file.path)
    return files


def test_rejected_run_ends_finished_and_says_so(tracking):
    record = tracking.register(tracking.write("run-1", verdict="reject"))

    run = tracking.client.get_run(record.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags[tags.VERDICT] == "reject"
    assert run.data.tags[tags.RUN_ID] == "run-1"
    assert run.data.tags[tags.CANDIDATE] == CANDIDATE
    assert run.data.tags[tags.FAILED_GATES] == "gates.accuracy.min"


def test_run_carries_recipe_figures_curves_and_files(tracking):
    record = tracking.register(tracking.write("run-1"))

    client = tracking.client
    data = client.get_run(record.mlflow_run_id).data
    assert data.params["student.training.steps"] == "[5, 10]"
    assert data.params["chosen.student.steps"] == "10"
    assert data.params["chosen.student.method"] == "KD (divergence of soft labels)"
    assert data.metrics["student.accuracy"] == 0.94
    assert data.metrics["student.latency_p95_ms"] == 0.02
    assert data.metrics["deployed.accuracy"] == 0.93
    assert data.metrics[f"candidate.{CANDIDATE}.size_bytes"] == 400
    assert data.metrics["gap_recovered"] == pytest.approx(0.8)
    curve = client.get_metric_history(record.mlflow_run_id, "curve.student.loss")
    assert [(point.step, point.value) for point in curve] == [(5, 0.2), (10, 0.1)]
    assert _artifacts(client, record.mlflow_run_id) >= {
        "report.html",
        "decision.json",
        "evaluation.json",
        "recipe.yaml",
        "model-card.md",
        "registration.json",
        "student/bundle/model.safetensors",
        "student/deployable/model.onnx",
    }


def test_run_says_how_fast_its_arms_were_trained(tracking):
    run = tracking.write("run-1")
    with events.step("train_student"):
        events.Progress("candidate 5 steps, T=2", total=5, unit="steps").update(5)
        events.Progress("student", total=10, unit="steps").update(10)
        telemetry.keep(run.inputs.bundles["student"])
    kept = telemetry.kept(run.inputs.bundles["student"])

    record = tracking.register(run)

    found = tracking.client.get_run(record.mlflow_run_id).data.metrics
    assert {name: value for name, value in found.items() if name.startswith("training.")} == {
        "training.student.steps_per_second": kept["student.steps_per_second"]
    }


def test_run_has_the_weights_that_several_teachers_got(tracking):
    run = tracking.write("run-1")
    members = [
        EnsembleMember(digest=digit * 64, weight=weight, described="a teacher")
        for digit, weight in (("1", 0.75), ("2", 0.25))
    ]
    model = EnsembleModel(members=members, soft_labels_digest="3" * 64, weighting="quality")
    teacher = TeacherRecord(
        source="the recipe", classes=CLASSES, input=IMAGE, preprocessing=None, model=model
    )
    folder = run.inputs.bundles["teacher"]
    (folder / BUNDLE).unlink()
    (folder / TEACHER).write_text(teacher.model_dump_json())
    deployable = json.loads((run.student / DEPLOYABLE).read_text())
    told = json.dumps(deployable | {"teacher_digest": teacher.digest})
    (run.student / DEPLOYABLE).write_text(told)

    record = tracking.register(run)

    found = tracking.client.get_run(record.mlflow_run_id).data.metrics
    assert {name: value for name, value in found.items() if name.startswith("teacher.members")} == {
        "teacher.members.0.weight": 0.75,
        "teacher.members.1.weight": 0.25,
    }


def test_figure_that_is_not_finite_is_left_out(tracking):
    record = tracking.register(tracking.write("run-1"))

    metrics = tracking.client.get_run(record.mlflow_run_id).data.metrics
    assert "hard_label.calibration_error" not in metrics
    assert "teacher.calibration_error" in metrics


def test_logged_recipe_is_the_recipe(tracking):
    record = tracking.register(tracking.write("run-1"))

    path = tracking.client.download_artifacts(record.mlflow_run_id, "recipe.yaml")
    logged = yaml.safe_load(Path(path).read_text())
    assert Recipe.model_validate(logged, strict=True) == Recipe.model_validate(RECIPE)


def test_retry_continues_the_run_and_doubles_no_point(tracking):
    run = tracking.write("run-1", verdict="reject")
    first = tracking.register(run)

    second = tracking.register(run)

    assert second.mlflow_run_id == first.mlflow_run_id
    client = tracking.client
    assert client.get_run(first.mlflow_run_id).info.status == "FINISHED"
    for name, points in (("curve.student.loss", 2), ("student.accuracy", 1)):
        assert len(client.get_metric_history(first.mlflow_run_id, name)) == points


def test_failed_registration_leaves_a_failed_run(tracking):
    tracking.promoted("run-1")
    late = tracking.write("late", seed=1)

    with pytest.raises(ChampionMoved):
        tracking.register(late)

    client = tracking.client
    experiment = client.get_experiment_by_name("kubedistill").experiment_id
    failed = client.search_runs([experiment], "attributes.status = 'FAILED'")
    assert [run.data.tags[tags.RUN_ID] for run in failed] == ["late"]


def test_run_of_the_platform_is_continued_and_left_open(tracking, monkeypatch):
    client = tracking.client
    platform = client.create_run(tracking.create_experiment("platform"))
    client.log_param(platform.info.run_id, "seed", "of the platform")
    monkeypatch.setenv("MLFLOW_RUN_ID", platform.info.run_id)

    record = tracking.register(tracking.write("run-1"))

    run = client.get_run(platform.info.run_id)
    assert record.mlflow_run_id == platform.info.run_id
    assert run.info.status == "RUNNING"
    assert run.data.params["seed"] == "of the platform"
    assert run.data.metrics["student.accuracy"] == 0.94
    assert client.get_experiment_by_name("kubedistill") is None


def test_platform_run_that_does_not_exist_is_a_user_error(tracking, monkeypatch, stdout_events):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)

    with pytest.raises(SystemExit):
        tracking.register(tracking.write("run-1"))

    assert "MLFLOW_RUN_ID" in stdout_events()[-1]["message"]


def test_experiment_of_the_platform_is_used(tracking, monkeypatch):
    experiment = tracking.create_experiment("platform")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)

    record = tracking.register(tracking.write("run-1"))

    assert tracking.client.get_run(record.mlflow_run_id).info.experiment_id == experiment


def test_deleted_experiment_is_a_user_error(tracking, stdout_events):
    client = tracking.client
    client.delete_experiment(tracking.create_experiment("kubedistill"))

    with pytest.raises(SystemExit):
        tracking.register(tracking.write("run-1"))

    assert "'kubedistill' is deleted; restore it" in stdout_events()[-1]["message"]


def test_artifacts_lie_beside_the_database_whatever_the_working_directory(
    tracking, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    tracking.promoted("run-1")

    assert list(elsewhere.iterdir()) == []
    assert list((tmp_path / "artifacts").rglob("report.html"))


def test_long_parameter_is_cut_to_what_mlflow_takes(tracking):
    recipe = {**RECIPE, "data": {**RECIPE["data"], "uri": "x" * 10_000}}

    record = tracking.register(tracking.write("run-1", recipe=recipe))

    value = tracking.client.get_run(record.mlflow_run_id).data.params["data.uri"]
    assert (len(value), value[-1]) == (6000, "…")


def test_parameters_are_the_recipe_and_the_rows_of_each_split():
    recipe = {"seed": 0, "student": {"training": {"steps": [400, 1600]}}}

    assert figures.parameters(recipe, {}, {"labelled": 100, "test": 797}) == {
        "seed": "0",
        "student.training.steps": "[400, 1600]",
        "rows.labelled": "100",
        "rows.test": "797",
    }
