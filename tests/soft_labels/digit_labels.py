"""Digits, a network that could label them, and the labelling step with few arguments."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from components.shared.bundle import load_network, save_bundle
from components.shared.dataset import Dataset
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec
from components.shared.soft_labels import SoftLabels, StoreManifest
from components.soft_labels import steps

ROWS = 1797
SHARD_ROWS = 500
SHARDS = [f"part-{index:05d}.safetensors" for index in range(4)]


def write_teacher(
    folder: Path,
    data: Dataset,
    seed: int = 0,
    scale: float = 1.0,
    classes: list[str] | None = None,
) -> str:
    """An untrained network of this seed with logits times ``scale``; returns its digest."""
    known = classes or data.manifest.classes
    torch.manual_seed(seed)
    spec = CnnSpec(family="cnn", channels=[8], hidden=16)
    preprocessing = Preprocessing(mean=[5.0], std=[6.0])
    network = Classifier.build(spec, data.manifest.input, preprocessing, len(known)).eval()
    *_, last = (module for module in network.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        last.weight *= scale
    return save_bundle(
        folder,
        network,
        role="teacher",
        model=spec,
        input=data.manifest.input,
        preprocessing=preprocessing,
        classes=known,
        seed=seed,
        dataset_digest=data.manifest.digest,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    ).digest


@dataclass(frozen=True)
class Labelling:
    """A data set and a teacher on disk."""

    dataset: Path
    teacher: Path
    teacher_digest: str
    shard_rows: int = SHARD_ROWS

    @property
    def data(self) -> Dataset:
        return Dataset.open(self.dataset)

    @property
    def network(self) -> Classifier:
        return load_network(self.teacher)[1]

    def generate(self, output: Path, storage: Path | str = "", **section: Any) -> StoreManifest:
        several = section.pop("of_several", False)
        return steps.generate_soft_labels(*self._inputs(section), str(storage), output, several)

    def work(self, worker: int, storage: Path | str, **section: Any) -> int:
        several = section.pop("of_several", False)
        return steps.label_shards(*self._inputs(section), str(storage), worker, several)

    def open(self, store: Path) -> SoftLabels:
        manifest = self.data.manifest
        return SoftLabels.open(store, dataset_digest=manifest.digest, classes=manifest.classes)

    def _inputs(self, section: dict[str, Any]) -> tuple[Path, str, Path, str, dict[str, Any]]:
        digest = self.data.manifest.digest
        section = {"shard_rows": self.shard_rows, **section}
        return self.dataset, digest, self.teacher, self.teacher_digest, section


def objects(folder: Path) -> list[str]:
    """Names in a store; a hidden file is one that was not written to its end."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in objects(folder)}


def events_of(output: str) -> dict[str, dict[str, Any]]:
    """The last event of each kind."""
    found = map(json.loads, output.splitlines())
    return {event["event"]: event for event in found}
