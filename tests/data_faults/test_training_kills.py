"""Training steps killed and terminated at random steps end with the weights of undisturbed ones."""

import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.shared.dataset import Dataset
from components.shared.soft_labels import Views
from components.shared.storage import open_storage
from tests.data_faults.training_processes import Training, write_images, write_labels

ROWS = 240
TRAINING: dict[str, Any] = {"batch_size": 16, "learning_rate": 5e-3, "shift": 1}
MODEL = {"family": "cnn", "channels": [4], "hidden": 8, "dropout": 0.2}
TEACHER = {"source": "train", "model": MODEL, "training": {**TRAINING, "steps": 90}}
STUDENT = {"model": MODEL, "training": {**TRAINING, "steps": [20, 40]}}
DISTILLATION = {"temperature": [2.0], "weight": [0.9], "holdout": 0.3}
KINDS = {"memory": str(2**28), "file": "0"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A data set, and a store with two views of each row."""
    folder = tmp_path_factory.mktemp("data")
    dataset = write_images(folder / "images", ROWS)
    digest = write_labels(dataset, folder / "labels", 50, Views(seeds=[7], shift=1))
    return {
        "dataset": dataset,
        "dataset_digest": Dataset.open(dataset).manifest.digest,
        "soft_labels_folder": str(folder / "labels"),
        "soft_labels_digest": digest,
    }


@pytest.fixture(params=["teacher", "student", "pseudo_label", "hard_label"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS)
def training(
    request: pytest.FixtureRequest, role: str, data: dict[str, Any], tmp_path: Path
) -> Training:
    """A step that keeps a checkpoint of every optimizer step, if the one before is written."""
    common = {"seed": 0, "output": tmp_path / "model", "storage": str(tmp_path / "storage")}
    given = dict(list(data.items())[: 2 if role == "teacher" else 4])
    own = (
        {"teacher": TEACHER}
        if role == "teacher"
        else {"arm": role, "student": STUDENT, "distillation": DISTILLATION}
    )
    return Training(
        "train_teacher" if role == "teacher" else "train_student",
        {**given, **own, **common},
        tmp_path,
        {
            "KUBEDISTILL_ROWS_IN_MEMORY_BYTES": KINDS[request.param],
            "KUBEDISTILL_CACHE_DIR": str(tmp_path / "cache"),
            "KUBEDISTILL_CHECKPOINT_SECONDS": "0",
        },
    )


def undisturbed(training: Training) -> str:
    """The weights of a run that nothing happened to."""
    calm = replace(
        training,
        arguments={
            **training.arguments,
            "storage": "",
            "output": training.folder / "undisturbed",
        },
    )
    assert calm.attempt().status == 0
    return calm.bundle.weights_sha256


def kept(training: Training) -> list[str]:
    """Names of the checkpoints."""
    return [entry.name for entry in open_storage(training.arguments["storage"]).list()]


@pytest.mark.parametrize("role", ["student"], indirect=True)
def test_training_killed_ten_times_ends_with_the_same_weights(
    training: Training, role: str
) -> None:
    chance = random.Random(role)  # noqa: S311 - no secret
    for _ in range(10):
        attempt = training.attempt(signal.SIGKILL, at=chance.randint(2, 12))
        assert attempt.status == -signal.SIGKILL
    for _ in range(50):  # a busy machine may have written none in ten
        if kept(training):
            break
        training.attempt(signal.SIGKILL, at=12)
    last = training.attempt()
    assert last.status == 0
    assert last.told("resumed"), "it went on where the killed ones were"
    assert training.bundle.weights_sha256 == undisturbed(training)
    assert kept(training) == [], "checkpoints are deleted"


def test_training_that_was_terminated_saves_and_exits_with_143(training: Training) -> None:
    first = training.attempt(signal.SIGTERM, at=31)
    assert first.status == 143
    assert first.told("terminated")[0]["resumable"]
    assert not training.bundle_exists
    again = training.attempt()
    assert again.status == 0
    assert again.told("resumed")
    assert training.bundle.weights_sha256 == undisturbed(training)
