"""The training steps on data sets, stores and bundles on disk."""

import json
import pickle
import shutil
from collections.abc import Callable
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
from components.shared.recipe.outside_models import MODULES
from components.shared.soft_labels import SoftLabels
from components.soft_labels.steps import generate_soft_labels
from components.training import steps
from tests.training.labelled_digits import (
    STUDENT,
    TEACHER,
    Labelled,
    digest_of_data,
    label,
    write_store,
)

ARMS = ("student", "pseudo_label", "hard_label")
CLASSES = [str(digit) for digit in range(10)]


def write_digits(path: Path, *, spoil: str = "nothing") -> Path:
    """Digits with a split column; all rows of the split ``spoil`` are white, and of class 0."""
    data = load_digits()
    split = np.asarray((["labelled"] * 1 + ["unlabelled"] * 3 + ["test"] * 2) * 300)[:1797]
    images, labels = data.data.copy(), data.target.astype(str).astype(object)
    images[split == spoil], labels[split == spoil] = 16.0, "0"
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
    changes = {"soft_labels_folder": str(tmp_path / "other"), "soft_labels_digest": digest}
    for arm in ARMS:
        plain, other = labelled.train(arm), labelled.train(arm, name=f"{arm}-other", **changes)
        assert (plain.weights_sha256 == other.weights_sha256) is (arm == "hard_label")


def test_row_without_a_soft_label_is_named(
    labelled: Labelled, tmp_path: Path, refused: Callable[..., str]
) -> None:
    row = Dataset.open(labelled.dataset).load("unlabelled").ids[7]
    digest = write_store(labelled.dataset, tmp_path / "gap", leave_out=row)
    message = refused(
        labelled.train, soft_labels_folder=str(tmp_path / "gap"), soft_labels_digest=digest
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
            soft_labels_folder=str(tmp_path / "foreign"),
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
    assert f"store is {labelled.digest[:12]}, but ffffffffffff was asked for" in message


def test_unfinished_or_damaged_store_is_refused(
    labelled: Labelled, refused: Callable[..., str]
) -> None:
    shard = labelled.store / "part-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    message = refused(labelled.train)
    assert "part-00000.safetensors" in message
    assert "damaged" in message
    (labelled.store / "manifest.json").unlink()
    assert "labelling was not finished" in refused(labelled.train)


def test_unknown_arm_is_refused(labelled: Labelled, refused: Callable[..., str]) -> None:
    message = refused(labelled.train, "softlabel")
    arms = "student, hard_label, pseudo_label, assistant"
    assert message == f"arm: should be one of {arms}, not 'softlabel'"


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


def test_model_that_could_not_be_deployed_is_refused_before_it_is_trained(
    labelled: Labelled, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODULES, "tests.factories")
    arguments = {"what": "features"}
    model = {"family": "factory", "factory": "tests.factories:computing", "arguments": arguments}
    data = (labelled.dataset, digest_of_data(labelled.dataset))
    expected = "model: it gives a tensor of shape [3, 9] for 3 rows, not [3, 10]"
    assert expected in refused(labelled.train, student={**STUDENT, "model": model})
    teacher, output = {**TEACHER, "model": model}, labelled.folder / "teacher"
    assert expected in refused(steps.train_teacher, *data, teacher, 0, output)


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
        refused(
            generate_soft_labels, data, other, teacher, read_bundle(teacher).digest, {}, "", new
        ),
        refused(generate_soft_labels, data, known, teacher, other, {}, "", new),
    ]
    assert all("but 000000000000 was asked for" in message for message in messages)
    assert not new.exists()


# Sets that do not fit into memory


@pytest.fixture
def in_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDISTILL_ROWS_IN_MEMORY_BYTES", "0")
    monkeypatch.setenv("KUBEDISTILL_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.usefixtures("in_file")
def test_arms_share_the_rows_in_a_file_and_learn_from_them(
    digits: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = label(digits, teacher, tmp_path / "store")
    data = Labelled(digits, tmp_path / "store", digest, tmp_path)
    capsys.readouterr()
    bundles = [data.train(arm) for arm in ARMS for _ in range(2)]
    weights = [bundle.weights_sha256 for bundle in bundles]
    assert weights[::2] == weights[1::2]
    assert len(set(weights)) == 3
    assert all(bundle.curve[-1].loss < bundle.curve[0].loss for bundle in bundles)
    (in_memory,) = {bundle.preprocessing.model_dump_json() for bundle in bundles}
    assert in_memory == read_bundle(teacher).preprocessing.model_dump_json()
    events = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    told = [event for event in events if event and event["event"] == "training_rows"]
    assert [(event["kind"], event["rows"]) for event in told] == [("file", 1_000)] * 4 + [
        ("file", 100)
    ] * 2
    written = [event for event in events if event and "writing" in str(event.get("activity"))]
    assert {event["step"] for event in written} == {"train_student", "train_hard_label"}


@pytest.mark.usefixtures("in_file")
def test_row_without_a_soft_label_is_named_where_rows_go_to_a_file(
    labelled: Labelled, tmp_path: Path, refused: Callable[..., str]
) -> None:
    row = Dataset.open(labelled.dataset).load("unlabelled").ids[7]
    digest = write_store(labelled.dataset, tmp_path / "gap", leave_out=row)
    message = refused(
        labelled.train, soft_labels_folder=str(tmp_path / "gap"), soft_labels_digest=digest
    )
    assert f"no label for row '{row}'" in message
    assert not list((tmp_path / "cache").rglob("records"))


@pytest.mark.usefixtures("in_file")
def test_labels_that_changed_under_the_same_identity_are_not_mixed_up(
    labelled: Labelled, tmp_path: Path
) -> None:
    """An endpoint may say something else the next time, and nothing can tell but the labels."""
    first = labelled.train(name="first")
    digest = write_store(labelled.dataset, tmp_path / "again", seed=1, teacher="0")
    assert digest == labelled.digest
    changed = labelled.train(name="changed", soft_labels_folder=str(tmp_path / "again"))
    assert changed.weights_sha256 != first.weights_sha256


def test_limit_that_is_no_number_is_refused(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setenv("KUBEDISTILL_ROWS_IN_MEMORY_BYTES", "64M")
    assert "KUBEDISTILL_ROWS_IN_MEMORY_BYTES should be a number of" in refused(labelled.train)


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


def of_several(weighting: str, *members: dict[str, Any]) -> dict[str, Any]:
    teachers = [{"teacher": member} for member in members]
    return {"source": "ensemble", "weighting": weighting, "members": teachers}


def test_of_several_teachers_none_is_trained_on_rows_that_judge_them(
    digits: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = {"source": "train", **TEACHER}
    data = digest_of_data(digits)

    def train(weighting: str) -> bytes:
        among = of_several(weighting, trained, trained)
        output = tmp_path / weighting
        steps.train_teacher(digits, data, TEACHER, 0, output, among=among)
        return (output / WEIGHTS).read_bytes()

    whole = (teacher / WEIGHTS).read_bytes()
    assert train("fixed") == train("confidence") == whole
    assert "held_out" not in capsys.readouterr().out
    assert train("quality") != whole
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (held_out,) = [one for one in told if one["event"] == "held_out"]
    labels = Dataset.open(digits).load("labelled").labels
    assert held_out["of"] == len(labels)
    assert held_out["rows"] == sum(int(count * 0.2) for count in np.bincount(labels))


def test_a_bundle_of_some_classes_is_one_of_several_teachers(
    teacher: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    write_digits(tmp_path / "digits.parquet")
    dataset = resolve_digits(tmp_path, classes=[*CLASSES, "10"])
    section = {"source": "bundle", "uri": str(teacher)}
    among = of_several("quality", section, section)
    arguments = (dataset, digest_of_data(dataset), section, 0, tmp_path / "taken")
    assert steps.train_teacher(*arguments, among=among).classes == CLASSES
    assert "it has 10 classes, the data set 11" in refused(steps.train_teacher, *arguments)


def test_a_bundle_cannot_be_judged_by_rows_that_it_was_trained_on(
    digits: Path, teacher: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    section = {"source": "bundle", "uri": str(teacher)}
    arguments = (digits, digest_of_data(digits), section, 0, tmp_path / "taken")
    told = refused(steps.train_teacher, *arguments, among=of_several("quality", section, section))
    assert "was trained on this data set's labelled rows, so that they cannot judge it" in told
    steps.train_teacher(*arguments, among=of_several("fixed", section, section))


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
    store = SoftLabels.open(
        tmp_path / "store",
        dataset_digest=data.manifest.digest,
        classes=CLASSES,
        digest=digest,
    )
    _, network = load_network(teacher)
    with torch.inference_mode():
        logits = network(torch.from_numpy(rows.inputs)).numpy()
    np.testing.assert_allclose(store.logits(rows.ids), logits, rtol=1e-3, atol=1e-5)
    assert store.identity.teachers[0].digest == read_bundle(teacher).digest
