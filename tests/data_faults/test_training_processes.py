"""Several processes of one training: ended in the middle, and on two nodes; rows in a file."""

import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from components.shared.bundle import load_network
from components.shared.dataset import Dataset
from components.shared.events import parse_event
from components.shared.soft_labels import Views
from components.shared.storage import open_storage
from components.training.launching import worker_command
from components.training.request import ArmRequest, Place
from tests.data_faults.training_processes import (
    PATIENCE_S,
    Attempt,
    write_images,
    write_labels,
)
from tests.servers.processes import free_ports

MODEL = {"family": "mlp", "hidden": [8], "dropout": 0.2}
TRAINING: dict[str, Any] = {"batch_size": 17, "learning_rate": 5e-3, "shift": 1}
STUDENT = {"model": MODEL, "training": {**TRAINING, "steps": [600]}}
DISTILLATION = {"temperature": [2.0], "weight": [0.9], "holdout": 0.3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A data set, and a store with two views of each row."""
    folder = tmp_path_factory.mktemp("data")
    dataset = write_images(folder / "images", 240)
    digest = write_labels(dataset, folder / "labels", 50, Views(seeds=[7], shift=1))
    return {
        "dataset": dataset,
        "dataset_digest": Dataset.open(dataset).manifest.digest,
        "soft_labels_folder": str(folder / "labels"),
        "soft_labels_digest": digest,
        "arm": "student",
        "student": STUDENT,
        "distillation": DISTILLATION,
        "seed": 0,
    }


@dataclass(frozen=True)
class Step:
    """A step with rows in a file, in a process of its own."""

    data: dict[str, Any]
    folder: Path

    def run(self, name: str, processes: int, storage: str = "", signal_number: int = 0) -> Attempt:
        """Train into a folder; with a signal in the middle if one is given."""
        arguments = {**self.data, "output": self.folder / name, "storage": storage}
        with subprocess.Popen(
            [sys.executable, "-c", _STEP, pickle.dumps(arguments).hex()],
            env={**os.environ, **self.environment, "KUBEDISTILL_PROCESSES": str(processes)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            events = []
            for line in process.stdout or ():
                events += [event] if (event := parse_event(line)) else []
                if signal_number and events[-1].get("activity") == "student":
                    process.send_signal(signal_number)
                    signal_number = 0
            return Attempt(process.wait(PATIENCE_S), events)

    @property
    def environment(self) -> dict[str, str]:
        """Of the step, and of those who work for it."""
        return {
            "KUBEDISTILL_ROWS_IN_MEMORY_BYTES": "0",
            "KUBEDISTILL_CACHE_DIR": str(self.folder / "cache"),
            "KUBEDISTILL_CHECKPOINT_SECONDS": "1000",
        }


_STEP = """
import pickle, sys
from components.training import steps
steps.train_student(**pickle.loads(bytes.fromhex(sys.argv[1])))
"""


def assert_same_student(first: Path, second: Path) -> None:
    (one, network), (other, again) = load_network(first), load_network(second)
    assert one.selection == other.selection
    for name, values in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, rtol=2e-3, atol=2e-4)


def test_processes_of_a_step_that_was_killed_keep_a_checkpoint_and_end(
    data: dict[str, Any], tmp_path: Path
) -> None:
    long = {**STUDENT, "training": {**TRAINING, "steps": [3000]}}
    step, storage = Step({**data, "student": long}, tmp_path), str(tmp_path / "storage")
    for number in range(3):
        killed = step.run(f"killed-{number}", 2, storage, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while at_work(tmp_path):
            assert time.monotonic() < deadline, "they train on for nobody"
            time.sleep(0.1)
        if any(open_storage(storage).list("checkpoints/")):  # else the training was quicker
            break
    assert killed.status == -signal.SIGKILL
    assert step.run("model", 2, storage).told("resumed")


def at_work(folder: Path) -> list[Path]:
    """Processes whose environment names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append(process)
    return found


def test_training_that_sigterm_ended_goes_on_with_any_number_of_processes(
    data: dict[str, Any], tmp_path: Path
) -> None:
    step, storage = Step(data, tmp_path), str(tmp_path / "storage")
    assert step.run("alone", 1).status == 0
    for number in range(3):
        first = step.run(f"ended-{number}", 2, storage, signal.SIGTERM)
        if first.status != 0:  # else the training was quicker
            break
    assert first.status == 143
    assert first.told("terminated")[0]["resumable"]
    assert not (tmp_path / f"ended-{number}").exists()
    last = step.run("model", 1, storage)
    assert last.status == 0
    assert last.told("resumed")
    assert_same_student(tmp_path / "alone", tmp_path / "model")


def test_two_nodes_train_from_a_staged_request_in_s3(
    data: dict[str, Any], tmp_path: Path, s3_root: str
) -> None:
    """As the pods of a TrainJob do, with the variables that Kubeflow Trainer sets."""
    step = Step(data, tmp_path)
    assert step.run("alone", 1).status == 0
    place = Place(f"{s3_root}/training/request")
    place.stage(
        ArmRequest(
            arm="student",
            dataset=str(data["dataset"]),
            dataset_digest=data["dataset_digest"],
            soft_labels=data["soft_labels_folder"],
            soft_labels_digest=data["soft_labels_digest"],
            student=STUDENT,
            distillation=DISTILLATION,
            seed=0,
            storage=s3_root,
        )
    )
    (port,) = free_ports(1)
    nodes = []
    for node in range(2):
        trainer = {
            "PET_NNODES": "2",
            "PET_NODE_RANK": str(node),
            "PET_NPROC_PER_NODE": "1",
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        own = {**step.environment, "KUBEDISTILL_CACHE_DIR": str(tmp_path / f"cache-{node}")}
        command = [sys.executable, *worker_command(place.uri)[1:]]
        nodes.append(subprocess.Popen(command, env={**os.environ, **own, **trainer}))
    try:
        assert [node.wait(240) for node in nodes] == [0, 0]
    finally:
        for node in nodes:
            node.send_signal(signal.SIGTERM)
            node.wait()
    place.collect(tmp_path / "model")
    assert_same_student(tmp_path / "alone", tmp_path / "model")
    place.delete()
