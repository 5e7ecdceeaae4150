"""A training step on two nodes from end to end: it makes the TrainJob, two torchruns do what that
asks for, and the step has the student."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from components.shared.bundle import load_network
from components.shared.dataset import Dataset
from components.shared.soft_labels import Views
from components.training import steps
from tests.cluster.train_job_cluster import Cluster
from tests.cluster.train_job_nodes import Nodes
from tests.data_faults.training_processes import write_images, write_labels

STUDENT: dict[str, Any] = {
    "model": {"family": "mlp", "hidden": [8]},
    "training": {"steps": [10], "batch_size": 25, "learning_rate": 1e-2},
}
DISTILLATION: dict[str, Any] = {"temperature": [2.0], "weight": [0.9], "holdout": 0.3}


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    dataset = write_images(tmp_path / "images", 240)
    return {
        "dataset": str(dataset),
        "dataset_digest": Dataset.open(dataset).manifest.digest,
        "soft_labels_folder": str(tmp_path / "labels"),
        "soft_labels_digest": write_labels(dataset, tmp_path / "labels", 50, Views(seeds=[7])),
        "arm": "student",
        "student": STUDENT,
        "distillation": DISTILLATION,
        "seed": 0,
        "output": str(tmp_path / "together"),
        "storage": str(tmp_path / "storage"),
    }


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[Any]:
    """Starts the pods of the job that the step has made; they end with the test."""
    started: list[Nodes] = []

    def start() -> Nodes:
        started.append(Nodes(cluster, cluster.wait_for_any_job()))
        return started[-1]

    yield start
    for found in started:
        found.kill()


def test_student_of_two_nodes_is_that_of_one_process(cluster, nodes, arguments, tmp_path):
    step = cluster.start_training(**arguments)
    pods = nodes()
    assert pods.finish() == [0, 0]
    cluster.complete()
    assert step.end() == 0, step.errors.read_text()

    alone = {**arguments, "dataset": Path(arguments["dataset"]), "output": tmp_path / "alone"}
    steps.train_student(**{**alone, "storage": ""})

    (_, one), (_, two) = (load_network(tmp_path / name) for name in ("alone", "together"))
    for name, values in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], values, rtol=1e-4, atol=1e-5)
    assert step.events("training_rows"), "what the first node reports is the step's"
    assert cluster.is_going()
    assert not [file for file in (tmp_path / "storage" / "training").rglob("*") if file.is_file()]


def test_mistake_that_a_pod_finds_is_the_users(cluster, nodes, arguments, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_CHECKPOINT_SECONDS", "often")
    step = cluster.start_training(**arguments)
    pods = nodes()
    assert all(pods.finish())
    cluster.condition("Failed", "FailedJobs", "jobset failed due to one or more job failures")

    assert step.end() == 2
    assert step.error == "KUBEDISTILL_CHECKPOINT_SECONDS should be a number of seconds, not 'often'"
    assert cluster.is_going()
