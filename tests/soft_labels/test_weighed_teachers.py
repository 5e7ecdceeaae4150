"""Stores of teachers that are weighed by labels, or know only some of the classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from scipy.special import log_softmax, softmax

from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.recipe import EnsembleTeacher
from components.shared.recipe.teacher import OnnxTeacher
from components.shared.soft_labels import SoftLabels, SoftLabelWriter, StoreManifest
from components.shared.storage import LocalStorage
from components.soft_labels import steps
from components.soft_labels.combining import combine, way_of
from components.soft_labels.stores import Stores
from components.soft_labels.teachers import steps as teacher_steps
from components.soft_labels.teachers.checking import LEAST_PROBABILITY
from components.soft_labels.teachers.importing import import_foreign
from components.soft_labels.teachers.opening import open_teacher
from components.soft_labels.weighing import Judged, by_confidence, by_quality
from tests.soft_labels.digit_labels import ROWS as ROWS_OF_DIGITS
from tests.soft_labels.digit_labels import SHARDS, Labelling, content, write_teacher
from tests.soft_labels.teachers.conftest import Classifier
from tests.soft_labels.written_stores import DATASET, ensemble_of, write_store

Refused = Callable[..., str]
Labels = npt.NDArray[np.int64]

CLASSES = list("abcdef")
ROWS = 40
LABELS = np.random.default_rng(3).integers(-1, 6, ROWS)
SOME = {"first": list("abcd"), "second": list("fdce")}
TRAINED = {
    "source": "train",
    "model": {"family": "mlp", "hidden": [4]},
    "training": {"steps": 1, "batch_size": 8, "learning_rate": 0.01},
}


def written(folder: Path, name: str, classes: list[str], sharpness: float) -> SoftLabels:
    """A teacher that leans towards the right class."""
    rng = np.random.default_rng(len(name))
    logits = rng.normal(size=(ROWS, 2, len(classes)))
    columns = {CLASSES.index(each): position for position, each in enumerate(classes)}
    there = np.asarray([columns.get(label, -1) for label in LABELS.tolist()])
    rows = np.flatnonzero(there >= 0)
    logits[rows, :, there[rows]] += sharpness
    return write_store(folder / name, name, classes, logits.astype(np.float32), there)


def together(
    folder: Path, stores: list[SoftLabels], spec: EnsembleTeacher
) -> tuple[StoreManifest, SoftLabels]:
    both = Stores(stores, CLASSES)
    way = way_of(spec, both)
    writer = SoftLabelWriter(LocalStorage(folder), way.identity)
    combine(both, way, writer)
    return writer.seal(), SoftLabels.open(folder, dataset_digest=DATASET, classes=CLASSES)


def stored(store: SoftLabels) -> npt.NDArray[np.float32]:
    """Shape (rows, views, classes)."""
    parts = [store.labels(index) for index in range(len(store.shards))]
    return np.concatenate([part.of(part.ids) for part in parts])


@pytest.fixture
def full(tmp_path: Path) -> list[SoftLabels]:
    return [
        written(tmp_path, name, CLASSES, sharpness)
        for name, sharpness in (("good", 4.0), ("middling", 2.0), ("bad", 1.0))
    ]


def right_in(store: SoftLabels, rows: Labels) -> Judged:
    chosen = stored(store)[:, 0].argmax(axis=1)
    return Judged(len(rows), int((chosen[rows] == LABELS[rows]).sum()), 6)


def test_quality_is_measured_on_labelled_rows_that_no_member_was_trained_on(
    tmp_path: Path, full: list[SoftLabels]
) -> None:
    imported = ensemble_of((1, 2, 1), weighting="quality")
    manifest, store = together(tmp_path / "all", full, imported)
    judged = [right_in(one, np.flatnonzero(LABELS >= 0)) for one in full]
    weights = [teacher.weight for teacher in manifest.identity.teachers]
    assert weights == by_quality(judged, [0.25, 0.5, 0.25])
    assert weights[0] * 2 > weights[1], "a better teacher weighs more than the recipe says"
    probabilities = [softmax(stored(one).astype(np.float64), -1) for one in full]
    expected = np.tensordot(weights, probabilities, 1)
    np.testing.assert_allclose(softmax(stored(store), -1), expected, rtol=5e-3)

    others = [{"teacher": one.teacher.model_dump()} for one in imported.members[1:]]
    members = [{"teacher": TRAINED}, *others]
    spec = EnsembleTeacher.model_validate(
        {"source": "ensemble", "weighting": "quality", "held_out": 0.5, "members": members}
    )
    manifest, _ = together(tmp_path / "half", full, spec)
    half = np.concatenate([np.flatnonzero(label == LABELS)[1::2] for label in range(6)])
    judged = [right_in(one, half) for one in full]
    found = [teacher.weight for teacher in manifest.identity.teachers]
    assert found == by_quality(judged, [1 / 3] * 3)


def test_confidence_weighs_each_row_by_its_label_and_each_view_by_its_entropy(
    tmp_path: Path, full: list[SoftLabels]
) -> None:
    spec = ensemble_of((1, 1, 1), weighting="confidence")
    manifest, store = together(tmp_path / "whole", full, spec)
    logits = [stored(one).reshape(-1, 6) for one in full]
    labels = np.stack([LABELS, np.full(ROWS, -1)], axis=1).reshape(-1)
    weights = by_confidence(logits, [np.arange(6)] * 3, labels, [1 / 3] * 3, 6)
    probabilities = softmax(np.stack(logits, axis=1).astype(np.float64), -1)
    expected = np.einsum("rk,rkc->rc", weights, probabilities).reshape(ROWS, 2, 6)
    np.testing.assert_allclose(softmax(stored(store), -1), expected, rtol=5e-3)
    means = [teacher.weight for teacher in manifest.identity.teachers]
    np.testing.assert_allclose(means, weights.mean(axis=0), atol=1e-5)


def test_a_class_that_no_teacher_with_a_say_knows_is_improbable_and_no_more(
    tmp_path: Path,
) -> None:
    """Logits are compared as such by some methods, and one of -65,504 would be all that counts."""
    stores = [written(tmp_path, name, known, 3.0) for name, known in SOME.items()]
    _, store = together(tmp_path / "both", stores, ensemble_of((1, 1), weighting="confidence"))
    rows = np.flatnonzero(CLASSES.index("a") == LABELS)
    unheard = stored(store)[rows, 0][:, [CLASSES.index("e"), CLASSES.index("f")]]
    np.testing.assert_allclose(unheard, np.log(LEAST_PROBABILITY), rtol=1e-3)


@pytest.mark.parametrize("weighting", ["fixed", "quality", "confidence"])
def test_the_order_of_teachers_is_of_no_consequence(tmp_path: Path, weighting: str) -> None:
    stores = [written(tmp_path, name, known, 3.0) for name, known in SOME.items()]
    stores.append(written(tmp_path, "all of them", CLASSES, 1.0))
    spec = ensemble_of((2, 1, 1), weighting=weighting)
    _, one = together(tmp_path / "one", stores, spec)
    turned = ensemble_of((1, 1, 2), weighting=weighting)
    _, other = together(tmp_path / "other", stores[::-1], turned)
    np.testing.assert_allclose(stored(one), stored(other), rtol=2e-3, atol=2e-3)
    assert one.identity.digest != other.identity.digest


def test_teachers_of_some_classes_each_teach_all_of_them_together(tmp_path: Path) -> None:
    """What they say agrees, so that it is one distribution, and that comes out."""
    whole = np.random.default_rng(0).normal(size=(ROWS, 1, 6)) * 2
    stores = []
    for name, known in SOME.items():
        columns = {CLASSES.index(each): position for position, each in enumerate(known)}
        labels = np.asarray([columns.get(label, -1) for label in LABELS.tolist()])
        logits = whole[..., list(columns)].astype(np.float32)
        stores.append(write_store(tmp_path / name, name, known, logits, labels))
    manifest, store = together(tmp_path / "both", stores, ensemble_of((1, 3)))
    np.testing.assert_allclose(stored(store), log_softmax(whole, -1), rtol=2e-3, atol=2e-3)
    assert manifest.labelled == (LABELS >= 0).sum(), "a label is known where one teacher knows it"
    assert manifest.accuracy == (whole[LABELS >= 0, 0].argmax(axis=1) == LABELS[LABELS >= 0]).mean()
    assert manifest.identity.combination is not None
    assert manifest.identity.combination.known == list(SOME.values())


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (["ab", "cd"], "no teacher knows the classes e, f: each class"),
        (["abcdef", "xf"], r"members\[1\] knows x, which the data set does not"),
        (["abcdef", "a"], r"members\[1\] knows one class alone, a, and so says nothing"),
    ],
)
def test_classes_that_do_not_fit_are_named(tmp_path: Path, known: list[str], message: str) -> None:
    logits = np.zeros((ROWS, 1, 6), np.float32)
    stores = [
        write_store(tmp_path / names, names, list(names), logits[..., : len(names)], LABELS * 0 - 1)
        for names in known
    ]
    with pytest.raises(UserError, match=message):
        Stores(stores, CLASSES)


def test_where_any_store_keeps_only_the_largest_logits_the_combined_one_does(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    none = np.full(ROWS, -1)
    logits = [rng.normal(size=(ROWS, 1, len(known))).astype(np.float32) for known in SOME.values()]
    first = write_store(tmp_path / "first", "first", SOME["first"], logits[0], none, k=3)
    second = write_store(tmp_path / "second", "second", SOME["second"], logits[1], none)
    manifest, _ = together(tmp_path / "both", [first, second], ensemble_of((1, 1)))
    assert (manifest.identity.representation, manifest.identity.k) == ("topk", 3)


@pytest.fixture(scope="module")
def halves(
    labelling: Labelling, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Path, str]]:
    """Stores of two networks, the one of the digits up to 5, the other from 5 on, backwards."""
    folder = tmp_path_factory.mktemp("halves")
    found = []
    for name, digits in (("low", "012345"), ("high", "98765")):
        digest = write_teacher(folder / name, labelling.data, classes=list(digits), scale=5)
        one = Labelling(labelling.dataset, folder / name, digest)
        store = one.generate(folder / f"of-{name}", of_several=True)
        found.append((folder / f"of-{name}", store.identity.digest))
    return found


def test_a_teacher_is_judged_by_rows_of_the_classes_that_it_knows(
    labelling: Labelling, halves: list[tuple[Path, str]], tmp_path: Path, refused: Refused
) -> None:
    rows = labelling.data.load("labelled")
    store = SoftLabels.open(
        halves[1][0], dataset_digest=labelling.data.manifest.digest, classes=list("98765")
    )
    known = np.flatnonzero(rows.labels >= 5)
    chosen = 9 - store.logits(rows.names).argmax(axis=1)
    assert store.manifest.labelled == len(known) == 50
    assert store.manifest.accuracy == (chosen[known] == rows.labels[known]).mean()
    digest = write_teacher(tmp_path / "low", labelling.data, classes=list("01234"))
    bad = Labelling(labelling.dataset, tmp_path / "low", digest)
    told = refused(bad.generate, tmp_path / "s", min_accuracy=0.9, of_several=True)
    assert "of the 50 labelled rows" in told
    alone = "it has 5 classes, the data set 10"
    assert alone in refused(bad.generate, tmp_path / "s")
    shared = {"workers": 2, "storage": tmp_path / "shared"}
    assert alone in refused(bad.work, 0, **shared)
    found = [bad.work(worker, **shared, of_several=True) for worker in (0, 1)]
    assert sum(found) == ROWS_OF_DIGITS


def test_a_store_of_several_teachers_is_found_again_and_its_damaged_shard_made_again(
    labelling: Labelling, halves: list[tuple[Path, str]], tmp_path: Path, events: Any
) -> None:
    spec = ensemble_of((1, 1), weighting="confidence")
    section = spec.model_dump(mode="json", exclude_none=True)
    arguments = (
        labelling.dataset,
        labelling.data.manifest.digest,
        section,
        halves,
        str(tmp_path / "storage"),
    )
    first = steps.combine_soft_labels(*arguments, tmp_path / "a")
    told = events()["teacher_weights"]
    assert told["weights"] == [one.weight for one in first.identity.teachers]
    place = Path(str(first.location))
    whole = content(place)
    (place / SHARDS[0]).write_bytes(b"half")
    assert steps.combine_soft_labels(*arguments, tmp_path / "b") == first
    assert content(place) == whole
    record = teacher_steps.describe_ensemble(
        labelling.dataset,
        labelling.data.manifest.digest,
        section,
        tmp_path / "b",
        first.identity.digest,
        tmp_path / "teacher",
    )
    assert record.in_words.startswith("an ensemble of 2 teachers, weighted by confidence: ")
    assert record.in_words.endswith("of the bundle elsewhere (5 of 10 classes)")


def test_a_model_of_some_classes_is_one_of_several_teachers_but_not_the_only_one(
    digits: Path, tmp_path: Path
) -> None:
    data = Dataset.open(digits)
    rows = data.load("labelled")
    weights = np.random.default_rng(0).normal(size=(64, 10))
    model = Classifier(None, weights, np.zeros(10)).onnx_model(("n", 64))  # type: ignore[arg-type]
    for initializer in model.graph.initializer:
        array = onnx.numpy_helper.to_array(initializer)[..., [7, 2, 4]]
        initializer.CopyFrom(onnx.numpy_helper.from_array(array, initializer.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    onnx.save(model, tmp_path / "three.onnx")
    spec = OnnxTeacher(source="onnx", uri=str(tmp_path / "three.onnx"), classes=["7", "2", "4"])
    with pytest.raises(UserError, match="does not know '0', '1', '3', '5', '6', …"):
        import_foreign(spec, data, "", tmp_path / "alone")
    record = import_foreign(spec, data, "", tmp_path / "teacher", some=True)
    assert record.classes == ["2", "4", "7"]
    teacher = open_teacher(tmp_path / "teacher", record.digest)
    whole = rows.inputs.reshape(len(rows), 64) @ weights
    np.testing.assert_allclose(
        softmax(teacher.logits(rows.inputs), 1), softmax(whole[:, [2, 4, 7]], 1), atol=1e-5
    )
