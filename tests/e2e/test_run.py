import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.command_line import Ended, Workspace

Promoted = tuple[Workspace, Ended]


def test_good_student_is_promoted_and_everything_is_left_behind(promoted: Promoted) -> None:
    _workspace, ended = promoted
    summary = ended.summary
    assert summary["verdict"] == "promote"
    assert summary["model"] == {"name": "digits-student", "version": "1", "alias": "champion"}
    assert set(summary["arms"]) == {
        "teacher",
        "student",
        "hard_label",
        "pseudo_label",
        "champion",
    }
    assert summary["arms"]["champion"] is None
    for name in ("teacher", "student", "hard_label", "pseudo_label"):
        arm = summary["arms"][name]
        assert 0.5 < arm["accuracy"] <= 1
        assert arm["size_bytes"] > 1000
        assert 0 < arm["latency_ms"]["p50"] <= arm["latency_ms"]["p95"] <= arm["latency_ms"]["p99"]
    arms = summary["arms"]
    assert summary["retention"] == pytest.approx(
        arms["student"]["accuracy"] / arms["teacher"]["accuracy"]
    )
    assert arms["student"]["parameters"] == 1_210
    assert all({"startup", "work"} == set(t) for t in summary["timings_s"].values())
    assert json.loads((ended.output / "decision.json").read_text())["verdict"] == "promote"
    report = (ended.output / "report.html").read_text()
    assert "digits-student" in report
    assert str(ended.output / "report.html").endswith("first/report.html")
    assert "first/report.html" in ended.stderr


def test_serving_loads_the_champion_by_alias_and_it_predicts(promoted: Promoted) -> None:
    workspace, _ = promoted
    mlflow.set_tracking_uri(f"sqlite:///{workspace.folder}/.kubedistill/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/digits-student@champion")
    data = load_digits()
    predicted = model.predict({"input": data.images.astype(np.float32)[:, None]})
    accuracy = (predicted["probabilities"].argmax(axis=1) == data.target).mean()
    assert accuracy > 0.85


def test_run_is_recorded_with_curves_report_and_decision(promoted: Promoted) -> None:
    workspace, ended = promoted
    client = mlflow.MlflowClient(f"sqlite:///{workspace.folder}/.kubedistill/mlflow.db")
    run = client.get_run(ended.summary["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["student.model.family"] == "mlp"
    assert run.data.metrics["student.accuracy"] == ended.summary["arms"]["student"]["accuracy"]
    assert len(client.get_metric_history(run.info.run_id, "curve.student.loss")) > 50
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"report.html", "decision.json", "evaluation.json"} <= names


def test_second_run_is_compared_with_the_champion_and_is_the_same_student(
    promoted: Promoted,
) -> None:
    workspace, first = promoted
    second = workspace.distil("second")
    assert second.status == 0, second.stderr
    summary = second.summary
    assert summary["champion_before"] == "1"
    assert summary["arms"]["champion"]["accuracy"] == first.summary["arms"]["student"]["accuracy"]
    assert summary["digests"]["onnx"]["student"] == first.summary["digests"]["onnx"]["student"]
    status = workspace.status()
    assert status["champion"]["version"] == summary["model"]["version"] == "2"
    assert status["former"]["version"] == "1"


def test_rejection_names_the_gate_and_leaves_the_registry_as_it_was(promoted: Promoted) -> None:
    workspace, _ = promoted
    before = workspace.status()
    ended = workspace.distil("rejected", "gates.latency.p95_ms=0.00001")
    assert ended.status == 3
    assert ended.summary["verdict"] == "reject"
    (reason,) = ended.summary["reasons"]
    assert "latency" in reason.lower()
    failed = [c for c in decision(ended)["checks"] if not c["passed"]]
    assert [check["gate"] for check in failed] == ["gates.latency.p95_ms"]
    assert failed[0]["threshold"] == 0.00001
    assert failed[0]["observed"] > 0.0001
    assert reason in " ".join(ended.stderr.split())
    assert workspace.status() == before


def decision(ended: Ended) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((ended.output / "decision.json").read_text())
    return value


def test_rejected_run_is_recorded_too(promoted: Promoted) -> None:
    workspace, _ = promoted
    ended = workspace.distil("rejected-too", "gates.size.max_bytes=10")
    assert ended.status == 3
    client = mlflow.MlflowClient(f"sqlite:///{workspace.folder}/.kubedistill/mlflow.db")
    run = client.get_run(ended.summary["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert "report.html" in {a.path for a in client.list_artifacts(run.info.run_id)}


def test_teacher_of_an_earlier_run_can_teach_again(promoted: Promoted) -> None:
    workspace, first = promoted
    (bundle,) = first.output.glob("pipeline/*/train-teacher/model")
    ended = workspace.distil("again", f"teacher={{source: bundle, uri: {bundle}}}")
    assert ended.status == 0, ended.stderr
    same = (
        ended.summary["digests"]["onnx"]["student"] == first.summary["digests"]["onnx"]["student"]
    )
    assert same, "the same teacher and seed give the same student"


def test_teacher_with_its_classes_in_another_order_is_refused(promoted: Promoted) -> None:
    workspace, first = promoted
    (bundle,) = first.output.glob("pipeline/*/train-teacher/model")
    ended = workspace.distil(
        "refused",
        f"teacher={{source: bundle, uri: {bundle}}}",
        "data.classes=[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]",
    )
    assert ended.status == 2
    assert "the teacher does not fit the data set: the order differs" in ended.stderr
    assert not Path(ended.output / "summary.json").exists()


def test_diverging_training_ends_the_run_with_the_step(workspace: Workspace) -> None:
    ended = workspace.distil("out", "teacher.training.learning_rate=1e30")
    assert ended.status == 2
    assert "training of teacher diverged" in ended.stderr
    assert "at step" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_two_runs_cannot_write_to_one_folder(workspace: Workspace) -> None:
    import fcntl

    (workspace.folder / "out").mkdir()
    with (workspace.folder / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = workspace.distil("out")
    assert ended.status == 2
    assert "another run is writing there" in ended.stderr
