"""The training steps on data sets, stores and bundles on disk."""

import pickle
import shutil
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

from components.data_validation.resolve import resolve
from components.shared.bundle import BUNDLE, WEIGHTS, ModelBundle, load_network, read_bundle
from components.shared.dataset import Dataset
from components.shared.events import parse_event
from components.shared.recipe import DataSpec, parse_section
from components.shared.soft_labels import SoftLabels, SoftLabelWriter, StoreIdentity, TeacherRef
from components.shared.storage import LocalStorage
from components.soft_labels.steps import generate_soft_labels
from components.training import steps

ARMS = ("student", "pseudo_label", "hard_label")
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
CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(autouse=True)
def _torch_as_before() -> Any:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def write_digits(path: Path, *, spoil: str = "nothing") -> Path:
    """Digits with a split column; all rows of the split ``spoil`` get absurd pixels and labels."""
    data = load_digits()
    split = np.asarray((["labelled"] * 1 + ["unlabelled"] * 3 + ["test"] * 2) * 300)[:1797]
    images, labels = data.data.copy(), data.target.astype(str).astype(object)
    images[split == spoil] = np.inf if spoil == "test" else 16.0
    labels[split == spoil] = "nonsense" if spoil == "test" else "0"
    table = pa.table(
        {
            "id": [f"digits-{row:05d}" for row in range(1797)],
            "image": list(images),
            "label": labels,
            "split": split,
        }
    )
    pq.write_table(table, path)
    return path


def resolve_digits(folder: Path, **fields: Any) -> Path:
    section = {
        "uri": str(folder / "digits.parquet"),
        "input": {"kind": "image", "column": "image", "size": [1, 8, 8]},
        "split": {"by": "column", "column": "split"},
        "classes": CLASSES,
        **fields,
    }
    resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
    return folder / "dataset"


def digest_of_data(dataset: Path) -> str:
    return Dataset.open(dataset).manifest.digest


def write_store(dataset: Path, folder: Path, leave_out: str = "", seed: int = 0) -> str:
    """A store with random labels for the training rows; returns its identity."""
    data = Dataset.open(dataset)
    ids = [name for name in data.load("labelled", "unlabelled").ids if name != leave_out]
    identity = StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest=f"{seed}" * 64, weight=1.0)],
        classes=data.manifest.classes,
        preprocessing_digest="p" * 64,
    )
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    writer.write(0, ids, np.random.default_rng(seed).normal(size=(len(ids), 10)).astype(np.float32))
    writer.seal()
    return identity.digest


def label(dataset: Path, teacher: Path, store: Path) -> str:
    return generate_soft_labels(
        dataset, digest_of_data(dataset), teacher, read_bundle(teacher).digest, str(store)
    )


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
            "soft_labels_uri": str(self.store),
            "soft_labels_digest": self.digest,
            "arm": arm,
            "student": STUDENT,
            "distillation": DISTILLATION,
            "seed": 0,
            "output": self.folder / (name or arm),
            **changes,
        }
        return steps.train_student(**arguments)


@pytest.fixture
def labelled(digits: Path, tmp_path: Path) -> Labelled:
    digest = write_store(digits, tmp_path / "store")
    return Labelled(digits, tmp_path / "store", digest, tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls a step that has to end with status 2; gives the message of its error event."""

    def call(step: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            step(*arguments, **options)
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        last = parse_event(printed.out.splitlines()[-1])
        assert last is not None
        assert (last["event"], last["kind"]) == ("error", "user")
        return str(last["message"])

    return call


def distil(dataset: Path, folder: Path, seed: int = 0) -> dict[str, ModelBundle]:
    """Teacher, soft labels and all arms."""
    bundles = {
        "teacher": steps.train_teacher(
            dataset, digest_of_data(dataset), TEACHER, seed, folder / "teacher"
        )
    }
    digest = label(dataset, folder / "teacher", folder / "store")
    trained = Labelled(dataset, folder / "store", digest, folder)
    return bundles | {arm: trained.train(arm, seed=seed) for arm in ARMS}


def weights(bundles: dict[str, ModelBundle]) -> dict[str, str]:
    return {name: bundle.weights_sha256 for name, bundle in bundles.items()}


def test_test_rows_are_never_read(tmp_path: Path) -> None:
    trained, digests = {}, set()
    for spoiled in ("nothing", "test", "unlabelled"):
        folder = tmp_path / spoiled
        folder.mkdir()
        write_digits(folder / "digits.parquet", spoil=spoiled)
        dataset = resolve_digits(folder)
        digests.add(digest_of_data(dataset))
        trained[spoiled] = weights(distil(dataset, folder))
    assert len(digests) == 3, "the data sets differ"
    assert trained["test"] == trained["nothing"]
    assert not set(trained["unlabelled"].values()) & set(trained["nothing"].values())


def test_same_seed_gives_the_same_weights_and_another_seed_others(
    digits: Path, tmp_path: Path
) -> None:
    first, again, other = (
        weights(distil(digits, tmp_path / name, seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_bundle_says_what_it_was_made_from(labelled: Labelled) -> None:
    for arm in ARMS:
        bundle = labelled.train(arm, seed=3)
        stored, network = load_network(labelled.folder / arm)
        assert stored == bundle
        assert (bundle.role, bundle.seed, bundle.classes) == (arm, 3, CLASSES)
        assert bundle.dataset_digest == digest_of_data(labelled.dataset)
        assert bundle.soft_labels_digest == (None if arm == "hard_label" else labelled.digest)
        assert bundle.selection is not None
        assert [candidate.steps for candidate in bundle.selection.candidates] == [10, 20]
        assert bundle.parameters == network.parameter_count == 1_210
        assert bundle.curve[-1].step in {10, 20}


def test_hard_label_arm_is_the_same_whatever_the_store_holds(
    labelled: Labelled, tmp_path: Path
) -> None:
    digest = write_store(labelled.dataset, tmp_path / "other", seed=1)
    changes = {"soft_labels_uri": str(tmp_path / "other"), "soft_labels_digest": digest}
    for arm in ARMS:
        plain, other = labelled.train(arm), labelled.train(arm, name=f"{arm}-other", **changes)
        assert (plain.weights_sha256 == other.weights_sha256) is (arm == "hard_label")


def test_row_without_a_soft_label_is_named(
    labelled: Labelled, tmp_path: Path, refused: Callable[..., str]
) -> None:
    row = Dataset.open(labelled.dataset).load("unlabelled").ids[7]
    digest = write_store(labelled.dataset, tmp_path / "gap", leave_out=row)
    message = refused(
        labelled.train, soft_labels_uri=str(tmp_path / "gap"), soft_labels_digest=digest
    )
    assert f"the soft-label store has no label for row '{row}'" in message
    assert not (labelled.folder / "student").exists()


def test_store_of_another_data_set_is_refused(
    labelled: Labelled, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "more").mkdir()
    write_digits(tmp_path / "more" / "digits.parquet")
    other = resolve_digits(tmp_path / "more")
    digest = write_store(other, tmp_path / "foreign")
    for arm in ARMS:
        message = refused(
            labelled.train,
            arm,
            soft_labels_uri=str(tmp_path / "foreign"),
            soft_labels_digest=digest,
        )
        assert message.startswith("the soft-label store belongs to another data set")
        assert digest_of_data(other)[:12] in message
        assert digest_of_data(labelled.dataset)[:12] in message
        assert not (labelled.folder / arm).exists()


def test_store_that_is_not_the_one_asked_for_is_refused(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    message = refused(labelled.train, soft_labels_digest="f" * 64)
    assert (
        message == f"the soft-label store is {labelled.digest[:12]}, but ffffffffffff was asked for"
    )


def test_unfinished_or_damaged_store_is_refused(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    shard = labelled.store / "part-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert "part-00000.safetensors is damaged" in refused(labelled.train)
    (labelled.store / "manifest.json").unlink()
    assert "labelling was not finished" in refused(labelled.train)


def test_unknown_arm_is_refused(labelled: Labelled, refused: Callable[..., str]) -> None:
    message = refused(labelled.train, "softlabel")
    assert message == "arm: should be one of student, hard_label, pseudo_label, not 'softlabel'"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"student": {**STUDENT, "model": {"family": "mpl"}}},
            "student.model.family: should be one",
        ),
        ({"student": {**STUDENT, "trainig": 1}}, "student.trainig: unknown field; did you mean"),
        ({"distillation": {"weight": [1.5]}}, "distillation.weight[0]: input should be less than"),
        (
            {"distillation": {"temperature": []}},
            "distillation.temperature: value should have at least 1",
        ),
    ],
)
def test_mistake_in_a_parameter_names_the_field(
    labelled: Labelled, refused: Callable[..., str], change: dict[str, Any], expected: str
) -> None:
    assert expected in refused(labelled.train, **change)
    assert not (labelled.folder / "student").exists()


def test_failed_training_leaves_the_former_bundle_alone(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    former = labelled.train()
    diverging = {**STUDENT, "training": {**STUDENT["training"], "learning_rate": 1e30}}
    message = refused(labelled.train, student=diverging)
    assert "diverged: the loss is" in message
    assert "at step" in message
    assert read_bundle(labelled.folder / "student") == former
    left = {path.name for path in labelled.folder.iterdir()}
    assert left == {"store", "student"}, "no temporary folder is left"


def test_steps_work_on_what_was_asked_for_or_not_at_all(
    labelled: Labelled, teacher: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    other, data, new = "0" * 64, labelled.dataset, tmp_path / "new"
    known = digest_of_data(data)
    messages = [
        refused(steps.train_teacher, data, other, TEACHER, 0, new),
        refused(labelled.train, dataset_digest=other, output=new),
        refused(generate_soft_labels, data, other, teacher, read_bundle(teacher).digest, str(new)),
        refused(generate_soft_labels, data, known, teacher, other, str(new)),
    ]
    assert all("but 000000000000 was asked for" in message for message in messages)
    assert not new.exists()


# A teacher that exists already


@pytest.fixture(scope="module")
def teacher(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "model"
    steps.train_teacher(digits, digest_of_data(digits), TEACHER, 0, folder)
    return folder


def take_over(dataset: Path, bundle: Path, output: Path) -> ModelBundle:
    section = {"source": "bundle", "uri": str(bundle)}
    return steps.train_teacher(dataset, digest_of_data(dataset), section, 0, output)


def test_bundle_is_taken_over_as_it_is(digits: Path, teacher: Path, tmp_path: Path) -> None:
    assert take_over(digits, teacher, tmp_path / "taken") == read_bundle(teacher)
    for name in (BUNDLE, WEIGHTS):
        assert (tmp_path / "taken" / name).read_bytes() == (teacher / name).read_bytes()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"classes": CLASSES[::-1]},
            "the order differs: its output 0 is '0', the data set's is '9'",
        ),
        ({"classes": [*CLASSES, "10"]}, "it has 10 classes, the data set 11"),
        ({"classes": [*CLASSES[:9], "X"]}, "it knows 9, which the data set does not"),
        ({"input": {"kind": "image", "size": [1, 4, 16]}}, "takes rows of shape [1, 8, 8]"),
    ],
)
def test_teacher_that_does_not_fit_is_refused(
    teacher: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    fields: dict[str, Any],
    expected: str,
) -> None:
    write_digits(tmp_path / "digits.parquet")
    dataset = resolve_digits(tmp_path, **fields)
    assert expected in refused(take_over, dataset, teacher, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
    message = refused(label, dataset, teacher, tmp_path / "store")
    assert expected in message, "the labelling step may be used without the one before it"
    assert not (tmp_path / "store").exists()


def test_teacher_of_other_columns_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    columns = ["alcohol", "malic_acid", "ash"]

    def wine(name: str, columns: list[str]) -> Path:
        section = {"uri": "builtin://wine", "input": {"kind": "tabular", "columns": columns}}
        resolve(parse_section(DataSpec, section, "data"), tmp_path / name)
        return tmp_path / name

    trained, reordered = wine("trained", columns), wine("reordered", columns[::-1])
    section = {"model": {"family": "mlp", "hidden": [4]}, "training": {"steps": 5}}
    steps.train_teacher(trained, digest_of_data(trained), section, 0, tmp_path / "teacher")
    message = refused(take_over, reordered, tmp_path / "teacher", tmp_path / "taken")
    assert "it takes the columns alcohol, malic_acid, ash, in this order" in message
    message = refused(label, reordered, tmp_path / "teacher", tmp_path / "store")
    assert "it takes the columns alcohol, malic_acid, ash, in this order" in message


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_teacher_whose_weights_hold_code_is_refused_and_nothing_runs(
    digits: Path, teacher: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    shutil.copytree(teacher, tmp_path / "bad")
    (tmp_path / "bad" / WEIGHTS).write_bytes(pickle.dumps(Malicious(tmp_path / "it-ran")))
    message = refused(take_over, digits, tmp_path / "bad", tmp_path / "taken")
    assert message.startswith(f"{tmp_path}/bad/{WEIGHTS}: not a safetensors file")
    assert "pickled weights can run code" in message
    assert not (tmp_path / "it-ran").exists()
    assert not (tmp_path / "taken").exists()


def test_teacher_that_is_not_there_is_named(
    digits: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    message = refused(take_over, digits, tmp_path / "nowhere", tmp_path / "taken")
    assert message == f"{tmp_path}/nowhere is not a model bundle: it has no bundle.json"


def test_store_read_by_an_arm_is_the_teachers(digits: Path, teacher: Path, tmp_path: Path) -> None:
    digest = label(digits, teacher, tmp_path / "store")
    data = Dataset.open(digits)
    rows = data.load("labelled", "unlabelled")
    store = SoftLabels.read(
        LocalStorage(tmp_path / "store"),
        dataset_digest=data.manifest.digest,
        classes=CLASSES,
        digest=digest,
    )
    _, network = load_network(teacher)
    with torch.inference_mode():
        logits = network(torch.from_numpy(rows.inputs)).numpy()
    np.testing.assert_allclose(store.logits(rows.ids), logits, rtol=1e-3, atol=1e-5)
    assert store.identity.teachers[0].digest == read_bundle(teacher).digest
