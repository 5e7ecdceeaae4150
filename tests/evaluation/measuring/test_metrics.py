"""Streamed metrics against scikit-learn on all rows at once, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from components.evaluation.measuring.estimates import estimates
from components.evaluation.measuring.metrics import (
    PairTally,
    Predictions,
    Sums,
    Tally,
    calibration_bins,
    per_class,
    score,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponent / exponent.sum(axis=1, keepdims=True)).astype(np.float32)


def random_rows(
    rows: int, classes: int, seed: int, used: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of the first ``used`` classes, and probabilities of a model and of a teacher that
    often know them."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, used or classes, rows)
    known = 2.0 * np.eye(classes)[labels]
    model, teacher = (softmax(2 * generator.normal(size=(rows, classes)) + known) for _ in range(2))
    return labels, model, teacher


def tallied(
    labels: np.ndarray,
    model: np.ndarray,
    teacher: np.ndarray,
    batch: int | None = None,
    bins: int = 4096,
) -> Sums:
    """All rows in one group, added up in batches."""
    tally = Tally(1, model.shape[1], bins)
    size = batch or len(labels)
    for start in range(0, len(labels), size):
        part = slice(start, start + size)
        predictions = Predictions.of(model[part])
        scored = score(predictions, labels[part], Predictions.of(teacher[part]))
        tally.update(np.zeros(len(labels[part]), np.int64), scored)
    return tally.sums(0)


@pytest.mark.parametrize(("classes", "used"), [(2, 2), (3, 3), (10, 10), (5, 3)])
def test_metrics_equal_those_of_sklearn(classes: int, used: int) -> None:
    """With 5 classes of which 3 occur: the others are predicted now and then."""
    labels, model, teacher = random_rows(3000, classes, seed=classes, used=used)
    found = estimates(tallied(labels, model, teacher, batch=700), 0.95)
    predicted, of_teacher = model.argmax(axis=1), teacher.argmax(axis=1)
    recalls = sklearn.recall_score(labels, predicted, average=None, labels=range(used))
    expected = {
        "accuracy": sklearn.accuracy_score(labels, predicted),
        "balanced_accuracy": np.mean(recalls),
        "macro_f1": sklearn.f1_score(labels, predicted, average="macro"),
        "log_loss": sklearn.log_loss(labels, model, labels=range(classes)),
        "agreement": sklearn.accuracy_score(of_teacher, predicted),
        "kl_to_teacher": np.mean(np.sum(teacher * np.log(teacher / model), axis=1)),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=2e-6), name
    areas = [sklearn.roc_auc_score(labels == one, model[:, one]) for one in range(used)]
    expected_area = areas[1] if classes == 2 else np.mean(areas)
    assert found["auroc"].value == pytest.approx(expected_area, abs=1e-4)


@settings(max_examples=40)
@given(
    rows=st.integers(2, 300),
    classes=st.integers(2, 6),
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 301),
)
def test_batches_do_not_matter(rows: int, classes: int, seed: int, batch: int) -> None:
    given_rows = random_rows(rows, classes, seed)
    whole = estimates(tallied(*given_rows), 0.9)
    parts = estimates(tallied(*given_rows, batch=batch), 0.9)
    assert parts.keys() == whole.keys()
    for name, estimate in whole.items():
        assert parts[name].model_dump() == pytest.approx(estimate.model_dump(), abs=1e-9), name


def test_groups_are_kept_apart() -> None:
    labels, model, teacher = random_rows(500, 3, seed=1)
    groups = np.random.default_rng(0).integers(0, 4, 500)
    tally = Tally(4, 3, 64)
    tally.update(groups, score(Predictions.of(model), labels, Predictions.of(teacher)))
    for group in range(4):
        inside = groups == group
        alone = tallied(labels[inside], model[inside], teacher[inside], bins=64)
        assert estimates(tally.sums(group), 0.95) == estimates(alone, 0.95)


def test_a_certain_and_wrong_row_has_a_finite_log_loss() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    found = estimates(tallied(np.array([0, 1]), certain, certain), 0.95)
    assert found["log_loss"].value == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2)
    assert found["kl_to_teacher"].value == 0


def test_confusion_and_class_results_agree_with_sklearn() -> None:
    labels, model, teacher = random_rows(400, 5, seed=3)
    predicted = model.argmax(axis=1)
    confusion = tallied(labels, model, teacher).detail.confusion
    assert (confusion == sklearn.confusion_matrix(labels, predicted)).all()
    results = per_class(confusion, list("abcde"))
    expected = sklearn.precision_recall_fscore_support(labels, predicted)
    found = np.array([[r.precision, r.recall, r.f1, r.rows] for r in results]).T
    assert found == pytest.approx(np.array(expected))


def test_undefined_class_results_are_none() -> None:
    """Class 2 is neither there nor predicted; class 1 is there and never predicted."""
    confusion = np.array([[2, 0, 0], [1, 0, 0], [0, 0, 0]])
    zero, one, two = per_class(confusion, ["zero", "one", "two"])
    assert (zero.precision, zero.recall) == (2 / 3, 1.0)
    assert (one.precision, one.recall, one.f1) == (None, 0.0, 0.0)
    assert (two.precision, two.recall, two.f1, two.rows) == (None, None, None, 0)


def test_calibration_error_by_hand() -> None:
    """Bin (8/15, 9/15] holds two rows at 0.55 (one right), bin (14/15, 1] two at 1 (both right)."""
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.0, 1.0], [0.0, 1.0]], np.float32)
    sums = tallied(np.array([0, 1, 1, 1]), probabilities, probabilities)
    bins = calibration_bins(sums.calibration)
    error = estimates(sums, 0.95)["calibration_error"].value
    assert error == pytest.approx(0.5 * abs(0.55 - 0.5))
    assert [(b.rows, b.accuracy) for b in bins] == [(2, 0.5), (2, 1.0)]
    assert bins[0].confidence == pytest.approx(0.55)


def test_one_row_or_one_class_leaves_out_what_cannot_be_measured() -> None:
    labels, model, teacher = random_rows(20, 3, seed=0, used=1)
    one_class = estimates(tallied(labels, model, teacher), 0.95)
    assert "auroc" not in one_class
    assert {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"} <= one_class.keys()
    one_row = estimates(tallied(labels[:1], model[:1], teacher[:1]), 0.95)
    assert not {"auroc", "log_loss", "kl_to_teacher"} & one_row.keys()
    assert one_row["accuracy"].lower < one_row["accuracy"].upper


def test_without_bins_only_what_does_not_grow_with_classes_is_kept() -> None:
    sums = tallied(*random_rows(50, 3, seed=0), bins=0)
    assert set(estimates(sums, 0.95)) == {
        "accuracy",
        "log_loss",
        "calibration_error",
        "agreement",
        "kl_to_teacher",
    }


def test_pairs_are_counted_by_who_is_right() -> None:
    labels = np.zeros(5, np.int64)
    right, wrong = [0.9, 0.1], [0.1, 0.9]
    first = np.array([right, right, wrong, wrong, right], np.float32)
    second = np.array([right, wrong, wrong, right, right], np.float32)
    teacher = Predictions.of(first)
    pair = PairTally()
    pair.update(score(teacher, labels, teacher), score(Predictions.of(second), labels, teacher))
    counts = pair.counts
    assert (counts.both, counts.only_student, counts.only_other, counts.neither) == (2, 1, 1, 1)
