"""The evaluation of real ONNX files on a real data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluation.evaluate import evaluate
from components.shared.deployable import ONNX_FILE
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe import EvaluationSpec

SPEC = EvaluationSpec(calls=100, warmup=5)


def test_every_arm_is_measured_on_the_test_rows(problem: Any, arms: dict[str, Path]) -> None:
    found = evaluate(problem.folder, arms, None, None, SPEC)
    assert found.rows == len(problem.labels)
    assert found.dataset_digest == problem.digest
    assert set(found.arms) == {"teacher", "student", "hard_label", "pseudo_label"}
    assert set(found.paired) == {"teacher", "hard_label", "pseudo_label"}
    teacher = found.arms["teacher"]
    predicted = (problem.inputs @ problem.weights.astype(np.float32)).argmax(axis=1)
    assert teacher.accuracy == pytest.approx(np.mean(predicted == problem.labels))
    assert teacher.accuracy_interval.lower < teacher.accuracy < teacher.accuracy_interval.upper
    assert np.sum(teacher.confusion) == found.rows
    assert np.trace(teacher.confusion) / found.rows == pytest.approx(teacher.accuracy)
    assert teacher.model_digest == sha256_file(arms["teacher"] / ONNX_FILE)
    assert teacher.size_bytes == (arms["teacher"] / ONNX_FILE).stat().st_size
    assert teacher.parameters == 12
    assert (teacher.latency_ms.calls, teacher.latency_ms.threads) == (100, 1)
    assert (found.champion_version, found.champion_dataset_digest) == (None, None)


def test_pairs_agree_with_the_accuracies(problem: Any, arms: dict[str, Path]) -> None:
    found = evaluate(problem.folder, arms, None, None, SPEC)
    for arm, pair in found.paired.items():
        right = {
            "student": pair.both + pair.only_student,
            arm: pair.both + pair.only_other,
        }
        for name, count in right.items():
            assert count / found.rows == pytest.approx(found.arms[name].accuracy)


def test_predictions_do_not_depend_on_batches(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    """More rows than fit in one batch, and not a multiple of it."""
    large = make_problem(tmp_path / "data", test_rows=2500)
    student = make_model(tmp_path / "student", large.weights, dataset_digest=large.digest)
    found = evaluate(large.folder, {"student": student}, None, None, SPEC)
    predicted = (large.inputs @ large.weights.astype(np.float32)).argmax(axis=1)
    assert found.arms["student"].accuracy == pytest.approx(np.mean(predicted == large.labels))


def test_champion_of_another_data_set_is_compared_on_the_same_rows(
    problem: Any, arms: dict[str, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    champion = make_model(tmp_path / "champion", problem.weights, dataset_digest="c" * 64)
    found = evaluate(problem.folder, arms, champion, "7", SPEC)
    assert found.arms["champion"].accuracy == found.arms["teacher"].accuracy
    assert found.paired["champion"] == found.paired["teacher"]
    assert (found.champion_version, found.champion_dataset_digest) == ("7", "c" * 64)


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"classes": ["bee", "ant", "cat"]}, "its classes are bee, ant, cat"),
        ({"columns": ["b", "a", "c", "d"]}, "it takes the columns b, a, c, d"),
    ],
)
def test_champion_that_does_not_fit_is_refused_with_advice(
    problem: Any,
    arms: dict[str, Path],
    make_model: Callable[..., Path],
    tmp_path: Path,
    difference: dict[str, Any],
    message: str,
) -> None:
    champion = make_model(
        tmp_path / "champion", problem.weights, dataset_digest="c" * 64, **difference
    )
    with pytest.raises(UserError, match=rf"the champion .*{message}.*registry\.model"):
        evaluate(problem.folder, arms, champion, "7", SPEC)


def test_student_of_another_data_set_is_refused(
    problem: Any, arms: dict[str, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    student = make_model(tmp_path / "student", problem.weights, dataset_digest="c" * 64)
    with pytest.raises(UserError, match=r"the student .* was trained on the data set cccccccccccc"):
        evaluate(problem.folder, {**arms, "student": student}, None, None, SPEC)


def test_nan_is_refused_with_arm_and_row(
    problem: Any, arms: dict[str, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    weights = problem.weights.copy()
    weights[0, 0] = np.nan
    broken = make_model(tmp_path / "broken", weights, dataset_digest=problem.digest)
    with pytest.raises(
        UserError, match="the hard_label gives NaN or infinity for test row 'row-0'"
    ):
        evaluate(problem.folder, {**arms, "hard_label": broken}, None, None, SPEC)


def test_logits_are_not_taken_for_probabilities(
    problem: Any, arms: dict[str, Path], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    logits = make_model(
        tmp_path / "logits", problem.weights, dataset_digest=problem.digest, softmax=False
    )
    with pytest.raises(UserError, match="the student gives no probabilities for test row 'row-"):
        evaluate(problem.folder, {**arms, "student": logits}, None, None, SPEC)


def test_fewer_outputs_than_classes_are_refused(
    problem: Any, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    narrow = make_model(tmp_path / "m", problem.weights[:, :2], dataset_digest=problem.digest)
    with pytest.raises(UserError, match=r"output of shape \(240, 2\), not \(240, 3\)"):
        evaluate(problem.folder, {"student": narrow}, None, None, SPEC)


def test_changed_file_is_refused(
    problem: Any, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    student = make_model(tmp_path / "student", problem.weights, dataset_digest=problem.digest)
    (student / ONNX_FILE).write_bytes(b"something else")
    with pytest.raises(UserError, match="SHA-256 differs"):
        evaluate(problem.folder, {"student": student}, None, None, SPEC)


def test_file_that_is_not_onnx_is_refused(
    problem: Any, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    student = make_model(tmp_path / "student", problem.weights, dataset_digest=problem.digest)
    description = (student / "deployable.json").read_text()
    before = sha256_file(student / ONNX_FILE)
    (student / ONNX_FILE).write_bytes(b"something else")
    after = sha256_file(student / ONNX_FILE)
    (student / "deployable.json").write_text(description.replace(before, after))
    with pytest.raises(UserError, match="the student: ONNX Runtime cannot load"):
        evaluate(problem.folder, {"student": student}, None, None, SPEC)


def test_test_row_without_a_label_is_refused(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_problem(tmp_path / "data", test_rows=20, hidden_label=4)
    student = make_model(tmp_path / "student", data.weights, dataset_digest=data.digest)
    with pytest.raises(UserError, match=r"test row 'row-4' has no label \(1 of 20 rows\)"):
        evaluate(data.folder, {"student": student}, None, None, SPEC)


def test_empty_test_split_is_refused(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_problem(tmp_path / "data", test_rows=0)
    student = make_model(tmp_path / "student", data.weights, dataset_digest=data.digest)
    with pytest.raises(UserError, match="the test split has no rows"):
        evaluate(data.folder, {"student": student}, None, None, SPEC)
