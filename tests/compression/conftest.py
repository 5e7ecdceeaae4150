"""Small trained students of every family, and a data set on disk with bundles and soft labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.datasets import load_digits

from components.compression.forms import Student
from components.compression.recovery import Recovery
from components.data_validation.resolve import resolve
from components.shared.bundle import Candidate, ModelBundle, Selection, save_bundle
from components.shared.dataset import Dataset
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    CnnSpec,
    DataSpec,
    ImageInput,
    MlpSpec,
    StudentSpec,
    StudentTrainingSpec,
    TabularInput,
    TrainingSpec,
    parse_section,
)
from components.shared.recipe.models import MobileNetSpec, ResidualMlpSpec, ResNetSpec
from components.shared.recipe.objectives import Kd
from components.shared.soft_labels import SoftLabelWriter, StoreIdentity, TeacherRef
from components.shared.storage import LocalStorage
from components.shared.training.objectives import DistillationLoss, cross_entropy
from components.shared.training.rows import MemoryRows
from components.shared.training.trainer import fit

CLASSES = [str(digit) for digit in range(10)]
DIGITS = load_digits()
IMAGES = DIGITS.images[:, None].astype(np.float32)
IMAGE = ImageInput(kind="image", size=[1, 8, 8])
PIXELS = TabularInput(columns=[f"pixel_{position}" for position in range(64)])
PREPROCESSING = Preprocessing(mean=[4.9], std=[6.0])
SPECS: dict[str, Any] = {
    "mlp": MlpSpec(family="mlp", hidden=[16], activation="gelu", dropout=0.1),
    "tanh": MlpSpec(family="mlp", hidden=[24, 16], activation="tanh"),
    "cnn": CnnSpec(family="cnn", channels=[8, 16], hidden=16, dropout=0.1),
    "residual_mlp": ResidualMlpSpec(family="residual_mlp", width=16, hidden=24, dropout=0.1),
    "resnet": ResNetSpec(family="resnet", channels=[8, 16], blocks=[2, 1]),
    "mobilenet": MobileNetSpec(
        family="mobilenet", stem=8, channels=[8, 16], blocks=[1, 2], expansion=2, head=32
    ),
}
LOSS = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)
SELECTION = Selection(
    judge="", candidates=[Candidate(steps=1, temperature=2.0, weight=0.9)], chosen=0
)


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For all tests of this folder."""


@dataclass(frozen=True)
class Case:
    """A student that knows digits, and the rows it learned from."""

    network: Classifier
    rows: np.ndarray
    labels: np.ndarray
    bundle: ModelBundle

    def student(self, seed: int = 0) -> Student:
        return Student(self.network, self.rows, seed, lambda: self.recovery(seed))

    def recovery(self, seed: int = 0) -> Recovery:
        inputs = torch.from_numpy(self.rows)
        with torch.inference_mode():
            logits = self.network(inputs).clone()
        labels = torch.from_numpy(self.labels)
        return Recovery(
            rows=MemoryRows(inputs, labels, (logits,), torch.arange(len(labels))),
            loss=LOSS,
            training=StudentTrainingSpec(steps=[10], batch_size=50, learning_rate=5e-3),
            seed=seed,
        )

    def accuracy(self, network: Classifier) -> float:
        with torch.inference_mode():
            found = network(torch.from_numpy(self.rows)).argmax(dim=1).numpy()
        return float((found == self.labels).mean())


_TRAINED: dict[str, Case] = {}


def case_of(family: str) -> Case:
    """A trained student, made once a session and not to be changed."""
    if family not in _TRAINED:
        spec, image = SPECS[family], family != "tanh"
        rows = IMAGES[:400] if image else IMAGES[:400].reshape(400, 64)
        labels = DIGITS.target[:400].astype(np.int64)
        preprocessing = PREPROCESSING if image else Preprocessing(mean=[4.9] * 64, std=[6.0] * 64)
        torch.manual_seed(0)
        network = Classifier.build(spec, IMAGE if image else PIXELS, preprocessing, 10)
        targets = torch.from_numpy(labels)
        fit(
            network,
            MemoryRows(torch.from_numpy(rows), targets, (), torch.arange(len(rows))),
            lambda logits, batch, _progress: cross_entropy(logits, batch.labels),
            TrainingSpec(steps=60, batch_size=50, learning_rate=1e-2),
            seed=0,
            label="case",
        )
        bundle = ModelBundle(
            role="student",
            model=spec,
            input=IMAGE if image else PIXELS,
            preprocessing=preprocessing,
            classes=CLASSES,
            parameters=network.parameter_count,
            seed=0,
            dataset_digest="d" * 64,
            soft_labels_digest=None,
            selection=SELECTION,
            curve=[],
            weights_sha256="w" * 64,
        )
        _TRAINED[family] = Case(network, rows, labels, bundle)
    return _TRAINED[family]


@pytest.fixture(params=SPECS)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@dataclass(frozen=True)
class Inputs:
    """What the compression step reads."""

    dataset: Path
    dataset_digest: str
    store: Path
    store_digest: str
    bundles: dict[str, tuple[Path, str]]


@pytest.fixture
def make_inputs(tmp_path: Path) -> Callable[..., Inputs]:
    """Writes digits with a split column, soft labels, and one trained network as every arm."""

    def make(
        *,
        student: Classifier | None = None,
        leave_out: str = "",
        selection: Selection | None = SELECTION,
        test_pixel: float = 0.0,
    ) -> Inputs:
        dataset = _write_data(tmp_path, test_pixel)
        data = Dataset.open(dataset)
        network = case_of("mlp").network
        store_digest = _write_store(tmp_path / "store", data, network, leave_out)
        bundles = {}
        for arm in ("teacher", "student", "hard_label", "pseudo_label"):
            bundle = save_bundle(
                tmp_path / arm,
                student if student and arm == "student" else network,
                role=arm,
                model=SPECS["mlp"],
                input=IMAGE,
                preprocessing=PREPROCESSING,
                classes=CLASSES,
                seed=0,
                dataset_digest=data.manifest.digest,
                soft_labels_digest=store_digest,
                selection=selection,
                curve=[],
            )
            bundles[arm] = (tmp_path / arm, bundle.digest)
        return Inputs(dataset, data.manifest.digest, tmp_path / "store", store_digest, bundles)

    return make


def _write_data(folder: Path, test_pixel: float) -> Path:
    split = np.asarray((["labelled"] + ["unlabelled"] * 3 + ["test"] * 2) * 300)[:600]
    images = DIGITS.data[:600].copy()
    images[split == "test", 0] = test_pixel
    table = pa.table(
        {
            "id": [f"digits-{row:05d}" for row in range(600)],
            "image": list(images),
            "label": DIGITS.target[:600].astype(str),
            "split": split,
        }
    )
    pq.write_table(table, folder / "digits.parquet")
    section = {
        "uri": str(folder / "digits.parquet"),
        "input": IMAGE.model_dump(),
        "split": {"by": "column", "column": "split"},
        "classes": CLASSES,
    }
    resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
    return folder / "dataset"


def _write_store(folder: Path, data: Dataset, network: Classifier, leave_out: str) -> str:
    rows = data.load("labelled", "unlabelled")
    kept = [position for position, name in enumerate(rows.ids) if name != leave_out]
    identity = StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest="t" * 64, weight=1.0)],
        classes=CLASSES,
        preprocessing_digest="p" * 64,
        piece_rows=1000,
    )
    with torch.inference_mode():
        logits = network(torch.from_numpy(rows.inputs[kept])).numpy()
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    writer.write(0, [rows.ids[position] for position in kept], logits[:, None])
    return writer.seal().identity.digest


STUDENT_SPEC: dict[str, Any] = StudentSpec(
    model=SPECS["mlp"],
    training=StudentTrainingSpec(steps=[10], batch_size=100, learning_rate=5e-3),
).model_dump(mode="json")
