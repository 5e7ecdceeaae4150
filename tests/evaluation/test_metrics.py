"""Metrics against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import precision_recall_fscore_support

from components.evaluation.metrics import (
    calibration,
    confusion_matrix,
    paired_counts,
    per_class,
)


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, size=400)
    predicted = np.where(generator.random(400) < 0.7, labels, generator.integers(0, 5, size=400))
    return labels, predicted


def test_confusion_and_class_results_agree_with_sklearn(
    predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, predicted = predictions
    confusion = confusion_matrix(labels, predicted, 5)
    assert (confusion == sklearn_confusion(labels, predicted)).all()
    results = per_class(confusion, list("abcde"))
    expected = precision_recall_fscore_support(labels, predicted)
    found = np.array([[r.precision, r.recall, r.f1, r.rows] for r in results]).T
    assert found == pytest.approx(np.array(expected))


def test_undefined_class_results_are_none() -> None:
    """Class 2 is neither there nor predicted; class 1 is there and never predicted."""
    confusion = confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    zero, one, two = per_class(confusion, ["zero", "one", "two"])
    assert (zero.precision, zero.recall) == (2 / 3, 1.0)
    assert (one.precision, one.recall, one.f1) == (None, 0.0, 0.0)
    assert (two.precision, two.recall, two.f1, two.rows) == (None, None, None, 0)


def test_calibration_error_by_hand() -> None:
    """Bin (8/15, 9/15] holds two rows at 0.55 (one right), bin (14/15, 1] two at 1 (both right)."""
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.0, 1.0], [0.0, 1.0]], np.float32)
    error, bins = calibration(probabilities, np.array([0, 1, 1, 1]))
    assert error == pytest.approx(0.5 * abs(0.55 - 0.5))
    assert [(b.rows, b.accuracy) for b in bins] == [(2, 0.5), (2, 1.0)]
    assert bins[0].confidence == pytest.approx(0.55)


def test_overconfident_model_has_the_error_of_its_overconfidence() -> None:
    generator = np.random.default_rng(2)
    labels = (generator.random(20_000) < 0.3).astype(np.int64)
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (20_000, 1))
    error, _ = calibration(probabilities, labels)
    assert error == pytest.approx(0.2, abs=0.01)


def test_paired_counts() -> None:
    student = np.array([True, True, False, False, True])
    other = np.array([True, False, True, False, True])
    counts = paired_counts(student, other)
    assert (counts.both, counts.only_student, counts.only_other, counts.neither) == (2, 1, 1, 1)
