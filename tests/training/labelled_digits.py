"""Digits with soft labels, as the training steps take them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.shared.bundle import ModelBundle, read_bundle
from components.shared.dataset import Dataset
from components.shared.soft_labels import SoftLabelWriter, StoreIdentity, TeacherRef
from components.shared.storage import LocalStorage
from components.soft_labels.steps import generate_soft_labels
from components.training import steps

TEACHER: dict[str, Any] = {
    "source": "train",
    "model": {"family": "cnn", "channels": [8], "hidden": 16, "dropout": 0.1},
    "training": {"steps": 20, "batch_size": 50, "shift": 1},
}
# As KFP hands it over: whole numbers in lists are floats.
STUDENT: dict[str, Any] = {
    "model": {"family": "mlp", "hidden": [16.0]},
    "training": {"steps": [10.0, 20.0], "batch_size": 250, "learning_rate": 0.01},
}
DISTILLATION: dict[str, Any] = {"temperature": [2.0], "weight": [0.9]}


def digest_of_data(dataset: Path) -> str:
    return Dataset.open(dataset).manifest.digest


def write_store(
    dataset: Path, folder: Path, leave_out: str = "", seed: int = 0, teacher: str = ""
) -> str:
    """A store with random labels for the training rows; returns its identity."""
    data = Dataset.open(dataset)
    ids = [name for name in data.load("labelled", "unlabelled").ids if name != leave_out]
    identity = StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest=(teacher or f"{seed}") * 64, weight=1.0)],
        classes=data.manifest.classes,
        preprocessing_digest="p" * 64,
        piece_rows=10_000,
    )
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    logits = np.random.default_rng(seed).normal(size=(len(ids), 1, 10)).astype(np.float32)
    writer.write(0, ids, logits)
    writer.seal()
    return identity.digest


def label(dataset: Path, teacher: Path, store: Path) -> str:
    return generate_soft_labels(
        dataset, digest_of_data(dataset), teacher, read_bundle(teacher).digest, {}, "", store
    ).identity.digest


@dataclass(frozen=True)
class Labelled:
    """A data set, a soft-label store for it, and a folder for what is trained."""

    dataset: Path
    store: Path
    digest: str
    folder: Path

    def train(self, arm: str = "student", name: str = "", **changes: Any) -> ModelBundle:
        arguments = {
            "dataset": self.dataset,
            "dataset_digest": digest_of_data(self.dataset),
            "soft_labels_folder": str(self.store),
            "soft_labels_digest": self.digest,
            "arm": arm,
            "student": STUDENT,
            "distillation": DISTILLATION,
            "seed": 0,
            "output": self.folder / (name or arm),
            **changes,
        }
        return steps.train_student(**arguments)
