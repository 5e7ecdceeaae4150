"""A chain from teacher to student through the pipeline, on digits."""

import json
from pathlib import Path
from typing import Any

import mlflow

from tests.command_line import Ended, Workspace

CHAIN = (
    "distillation.assistants=[{model: {family: mlp, hidden: [64]}, "
    "distillation: {method: dist, temperature: [2, 4], weight: 1}}]",
    "distillation.generations=2",
    "student.training.steps=[150]",
    "compression.candidates=[float32]",
)


def events(ended: Ended, event: str) -> list[dict[str, Any]]:
    lines = (line.strip() for line in (ended.output / "run.log").read_text().splitlines())
    found = [json.loads(line) for line in lines if line.startswith('{"event": ')]
    return [one for one in found if one["event"] == event]


def bundle(ended: Ended, step: str) -> dict[str, Any]:
    (written,) = ended.output.glob(f"pipeline/*/{step}/model/bundle.json")
    found: dict[str, Any] = json.loads(Path(written).read_text())
    return found


def test_assistants_and_generations_teach_the_student_and_are_named_everywhere(
    workspace: Workspace,
) -> None:
    ended = workspace.distil("first", *CHAIN)
    assert ended.status in (0, 3), ended.stderr
    summary = ended.summary
    assert summary["arms"]["teacher"]["accuracy"] > summary["arms"]["student"]["accuracy"] > 0.6
    assert {"train_assistant_1", "train_assistant_2"} <= set(summary["timings_s"])
    assistant, generation = bundle(ended, "train-student"), bundle(ended, "train-student-2")
    student = bundle(ended, "train-student-3")
    assert [one["role"] for one in (assistant, generation, student)] == [
        "assistant",
        "assistant",
        "student",
    ]
    assert generation["model"] == student["model"] != assistant["model"]
    assert generation["weights_sha256"] != student["weights_sha256"]
    chain = student["assistants"]
    assert [stage["parameters"] for stage in chain] == [
        assistant["parameters"],
        generation["parameters"],
    ]
    assert chain[0]["agreement"] > 0.6, "settings were chosen on rows that were held out"
    assert chain[1]["agreement"] is None, "there was nothing to choose"
    report = (ended.output / "report.html").read_text()
    assert "The student learned from the labels of assistant 2" in " ".join(report.split())
    assert all(stage["digest"] in report for stage in chain)
    client = mlflow.MlflowClient(f"sqlite:///{workspace.database}")
    run = client.get_run(summary["mlflow_run_id"])
    assert run.data.params["assistant.2.digest"] == chain[1]["digest"]
    labelled = [one["rows"] for one in events(ended, "labelled")]
    assert labelled == [1797, 1797, 1797], "each stage labels once, and the teacher only first"

    again = workspace.distil("second", *CHAIN)
    assert again.status in (0, 3), again.stderr
    assert [one["rows"] for one in events(again, "labelled")] == [0, 0, 0]
    assert bundle(again, "train-student-3") == student
