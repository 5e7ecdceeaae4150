"""Every method of distillation through the training step, on digits and a teacher of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from components.compression.recovery import loss_of
from components.data_validation.resolve import resolve
from components.shared.bundle import Candidate, ModelBundle, load_network
from components.shared.dataset import Dataset
from components.shared.events import parse_event
from components.shared.recipe import DataSpec, DistillationSpec, parse_section
from components.shared.recipe.objectives import described
from components.shared.soft_labels import SoftLabels, SoftLabelWriter, StoreIdentity, TeacherRef
from components.shared.storage import LocalStorage
from components.training import steps
from tests.training.labelled_digits import digest_of_data, label

TEACHER: dict[str, Any] = {
    "source": "train",
    "model": {"family": "cnn", "channels": [16], "hidden": 32},
    "training": {"steps": 120, "batch_size": 50, "shift": 1},
}
STUDENT: dict[str, Any] = {
    "model": {"family": "mlp", "hidden": [16]},
    "training": {"steps": 150, "batch_size": 250, "learning_rate": 0.02},
}
METHODS: dict[str, Any] = {
    "kd": "kd",
    "kd at a falling temperature": {"kind": "kd", "temperature": {"start": 4, "end": 1}},
    "kd, standardised": {"kind": "kd", "standardise": True},
    "dkd, warmed up": {"kind": "dkd", "beta": 2, "weight": {"start": 0, "end": 1, "over": 0.2}},
    "dist": "dist",
    "soft cross-entropy": "soft_cross_entropy",
    "logit mse": {"kind": "logit_mse", "weight": 0.1},
    "pseudo-labels": "pseudo_label",
    "pseudo-labels of a sure teacher": {"kind": "pseudo_label", "threshold": 0.8},
    "composed": ["kd", {"kind": "dist", "weight": 0.5}],
}


@dataclass(frozen=True)
class Lesson:
    """A data set with the labels of a teacher."""

    dataset: Path
    store: Path
    store_digest: str
    output: Path

    def train(self, arm: str = "student", **distillation: Any) -> ModelBundle:
        section = {"temperature": [2.0], "weight": [0.9], **distillation}
        return steps.train_student(
            self.dataset,
            digest_of_data(self.dataset),
            str(self.store),
            self.store_digest,
            arm,
            STUDENT,
            section,
            0,
            self.output / arm,
        )

    def agreement(self, arm: str = "student") -> float:
        """Share of the unlabelled rows on which an arm predicts what the teacher does."""
        data = Dataset.open(self.dataset)
        rows = data.load("unlabelled")
        labels = SoftLabels.open(
            self.store, dataset_digest=data.manifest.digest, classes=data.manifest.classes
        )
        _, network = load_network(self.output / arm)
        with torch.inference_mode():
            found = network(torch.from_numpy(rows.inputs)).argmax(1).numpy()
        return float((found == labels.logits(rows.names).argmax(1)).mean())


def chosen(bundle: ModelBundle) -> Candidate:
    assert bundle.selection is not None
    return bundle.selection.candidates[bundle.selection.chosen]


@pytest.fixture(scope="module")
def taught(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Soft labels of the digits, and the store's identity."""
    folder = tmp_path_factory.mktemp("taught")
    steps.train_teacher(digits, digest_of_data(digits), TEACHER, 0, folder / "teacher")
    return folder / "store", label(digits, folder / "teacher", folder / "store")


@pytest.fixture
def lesson(digits: Path, taught: tuple[Path, str], tmp_path: Path) -> Lesson:
    return Lesson(digits, *taught, tmp_path)


@pytest.fixture(scope="module")
def students(
    digits: Path, taught: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Lesson]:
    """A student of each method, and one of the labels alone."""
    lessons = {}
    for name, method in METHODS.items():
        lessons[name] = Lesson(digits, *taught, tmp_path_factory.mktemp("student"))
        lessons[name].train(method=method)
    lessons["kd"].train("hard_label")
    return lessons


@pytest.mark.parametrize("method", METHODS)
def test_student_of_every_method_comes_nearer_to_the_teacher_than_labels_alone(
    students: dict[str, Lesson], method: str
) -> None:
    assert students[method].agreement() > students["kd"].agreement("hard_label") + 0.01


@pytest.mark.parametrize("method", METHODS)
def test_bundle_keeps_the_method_and_the_student_can_learn_on(
    students: dict[str, Lesson], method: str
) -> None:
    bundle, _ = load_network(students[method].output / "student")
    assert (
        chosen(bundle).method
        == parse_section(DistillationSpec, {"method": METHODS[method]}, "distillation").objectives
    )
    assert list(loss_of(bundle).objectives) == chosen(bundle).method


def test_methods_differ(students: dict[str, Lesson]) -> None:
    made = {load_network(one.output / "student")[0].weights_sha256 for one in students.values()}
    assert len(made) == len(METHODS)


def test_temperatures_are_candidates_only_of_objectives_that_follow_them(lesson: Lesson) -> None:
    for method, expected in (
        ("dkd", [2.0, 1.0]),
        (["pseudo_label", {"kind": "kd", "temperature": 3.0}], [None]),
    ):
        selection = lesson.train(method=method, temperature=[2.0, 1.0]).selection
        assert selection is not None
        assert [candidate.temperature for candidate in selection.candidates] == expected


def test_progress_names_the_method_and_its_settings(
    lesson: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.train(method=["dkd", "dist"], temperature=[{"start": 4, "end": 1}, 1])
    events = [
        event for line in capsys.readouterr().out.splitlines() if (event := parse_event(line))
    ]
    told = {event["activity"] for event in events if event["event"] == "progress"}
    assert told == {
        "candidate 150 steps, dkd+dist, T=4 → 1, weight=0.9",
        "candidate 150 steps, dkd+dist, T=1, weight=0.9",
        "student",
    }


def test_bundle_keeps_schedules_and_says_the_method_in_words(lesson: Lesson) -> None:
    method = {"kind": "dkd", "weight": {"start": 0, "end": 1, "over": 0.2}, "standardise": True}
    lesson.train(method=[method, "pseudo_label"], temperature=[{"start": 4, "end": 1}])
    bundle, _ = load_network(lesson.output / "student")
    assert str(chosen(bundle).temperature) == "4 → 1"
    assert described(chosen(bundle).method) == (
        "(0 → 1 over 0.2 of the training) · DKD (decoupled divergence, alpha 1, beta 8), "
        "standardised logits + pseudo-labels"
    )


def test_baselines_do_not_depend_on_the_method(lesson: Lesson) -> None:
    for arm in ("hard_label", "pseudo_label"):
        plain, other = lesson.train(arm), lesson.train(arm, method="dist")
        assert plain == other
        assert chosen(plain).method == []


def labelled_table(folder: Path, classes: int, kept: int | None = None) -> Lesson:
    """A table with a store of random logits, of all classes or of the ``kept`` largest."""
    random = np.random.default_rng(0)
    columns = {
        "x": random.normal(size=60),
        "y": random.normal(size=60),
        "label": np.resize([str(number) for number in range(classes)], 60),
        "split": np.resize(["labelled", "unlabelled", "test"], 60),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    section = {
        "uri": str(folder / "rows.parquet"),
        "id": "@position",
        "input": {"kind": "tabular", "columns": ["x", "y"]},
        "split": {"by": "column", "column": "split"},
    }
    resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
    data = Dataset.open(folder / "dataset")
    identity = StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest="t" * 64, weight=1.0)],
        classes=data.manifest.classes,
        preprocessing_digest="p" * 64,
        representation="topk" if kept else "dense",
        k=kept,
        piece_rows=100,
    )
    writer = SoftLabelWriter(LocalStorage(folder / "store"), identity)
    rows = data.load("labelled", "unlabelled", "test")
    logits = random.normal(size=(60, 1, classes)).astype(np.float32)
    writer.write(0, rows.names, logits)
    writer.seal()
    return Lesson(folder / "dataset", folder / "store", identity.digest, folder)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The message of a training step that has to end with status 2."""

    def call(lesson: Lesson, method: Any) -> str:
        with pytest.raises(SystemExit) as ended:
            lesson.train(method=method)
        assert ended.value.code == 2
        last = parse_event(capsys.readouterr().out.splitlines()[-1])
        assert last is not None
        return str(last["message"])

    return call


def test_two_classes_refuse_what_keeps_only_the_larger_of_two_logits(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    lesson = labelled_table(tmp_path, classes=2)
    for method in ("dist", ["kd", "dist"]):
        said = refused(lesson, method)
        assert said.startswith("distillation.method: dist needs three classes or more: ")
    said = refused(lesson, {"kind": "dkd", "standardise": True})
    assert said.startswith("distillation.method: dkd with standardise needs three classes or more")
    for method in ("kd", "dkd", "soft_cross_entropy", "logit_mse", "pseudo_label"):
        lesson.train(method=method)


def test_labels_of_the_largest_logits_refuse_what_needs_them_all(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    lesson = labelled_table(tmp_path, classes=5, kept=3)
    for method, name in (
        ("logit_mse", "logit_mse"),
        ({"kind": "kd", "standardise": True}, "kd with standardise"),
    ):
        said = refused(lesson, method)
        assert said.startswith(f"distillation.method: {name} needs the teacher's logits of all cl")
        assert "set labelling.representation to dense" in said
    for method in ("kd", "dkd", "dist", "soft_cross_entropy", "pseudo_label"):
        lesson.train(method=method)
