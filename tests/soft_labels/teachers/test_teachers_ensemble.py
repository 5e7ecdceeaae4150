"""Several teachers: from the recipe to what evaluation reads."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from components.compression.teacher_arm import write_teacher_arm
from components.shared.dataset import Dataset
from components.shared.deployable import read_deployable
from components.shared.predictions import StoredPredictions
from components.shared.soft_labels import SoftLabels
from components.shared.teacher import TeacherRecord, read_teacher
from components.soft_labels.steps import combine_soft_labels, generate_soft_labels
from components.soft_labels.teachers import steps
from tests.soft_labels.teachers.conftest import Classifier

WEIGHTS = (3.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def members(
    classifier: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[float, Classifier, dict[str, Any]]]:
    """Weight, model and section of the recipe of three teachers."""
    folder = tmp_path_factory.mktemp("members")
    found = []
    for number, weight in enumerate(WEIGHTS):
        noise = np.random.default_rng(number).normal(size=classifier.weights.shape)
        weights = classifier.weights + 0.02 * number * noise
        model = Classifier(classifier.estimator, weights, classifier.bias)
        onnx.save(model.onnx_model(("n", 64)), folder / f"{number}.onnx")
        found.append((weight, model, {"source": "onnx", "uri": str(folder / f"{number}.onnx")}))
    return found


@pytest.fixture(scope="module")
def ensemble(members: list[Any]) -> dict[str, Any]:
    return {
        "source": "ensemble",
        "members": [{"weight": weight, "teacher": spec} for weight, _, spec in members],
    }


@pytest.fixture(scope="module")
def combined(
    data: Dataset,
    digits: Path,
    members: list[Any],
    ensemble: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """The store of all teachers, and its identity."""
    root = tmp_path_factory.mktemp("stores")
    digest = data.manifest.digest
    stores = []
    for number, (_, _, spec) in enumerate(members):
        teacher, labels = root / f"teacher-{number}", root / f"labels-{number}"
        record = steps.import_teacher(digits, digest, spec, "", teacher)
        made = generate_soft_labels(digits, digest, teacher, record.digest, {}, "", labels)
        stores.append((labels, made.identity.digest))
    folder = root / "combined"
    whole = combine_soft_labels(digits, digest, ensemble, stores, "", folder)
    return folder, whole.identity.digest


def test_what_evaluation_reads_is_the_weighted_mean_of_the_teachers_probabilities(
    data: Dataset,
    digits: Path,
    members: list[Any],
    ensemble: dict[str, Any],
    combined: tuple[Path, str],
    tmp_path: Path,
) -> None:
    digest = data.manifest.digest
    record = steps.describe_ensemble(digits, digest, ensemble, *combined, tmp_path / "teacher")
    assert read_teacher(tmp_path / "teacher", record.digest) == record
    assert record.in_words.startswith("an ensemble of 3 teachers: 0.6 of ")
    store = SoftLabels.open(combined[0], dataset_digest=digest, classes=data.manifest.classes)
    write_teacher_arm(tmp_path / "teacher", record, data, store, tmp_path / "arm")
    predictions = StoredPredictions.open(tmp_path / "arm")
    assert predictions.record.teacher_digest == record.digest
    for rows in data.batches("test", rows=300):
        mixed = sum(weight * model.probabilities(rows.inputs) for weight, model, _ in members)
        np.testing.assert_allclose(predictions.of(rows), mixed / sum(WEIGHTS), atol=2e-3)


def test_a_store_of_other_weights_is_refused(
    data: Dataset,
    digits: Path,
    ensemble: dict[str, Any],
    combined: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {**ensemble, "members": [{**one, "weight": 1} for one in ensemble["members"]]}
    with pytest.raises(SystemExit) as ended:
        steps.describe_ensemble(
            digits, data.manifest.digest, other, *combined, tmp_path / "teacher"
        )
    assert ended.value.code == 2
    assert (
        "weights 0.6, 0.2, 0.2 (fixed), not 0.3333, 0.3333, 0.3333 (fixed)"
        in capsys.readouterr().out
    )


def test_the_arm_of_an_onnx_teacher_is_its_file(
    data: Dataset,
    digits: Path,
    members: list[Any],
    combined: tuple[Path, str],
    tmp_path: Path,
) -> None:
    digest = data.manifest.digest
    record = steps.import_teacher(digits, digest, members[0][2], "", tmp_path / "teacher")
    assert isinstance(record, TeacherRecord)
    store = SoftLabels.open(combined[0], dataset_digest=digest, classes=data.manifest.classes)
    write_teacher_arm(tmp_path / "teacher", record, data, store, tmp_path / "arm")
    deployable = read_deployable(tmp_path / "arm")
    assert (deployable.bundle_digest, deployable.role) == (record.digest, "teacher")
