"""AUROC and ROC curves from histograms, against scikit-learn on sorted scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from components.evaluation.measuring.ranking import (
    FINEST,
    ScoreHistograms,
    area,
    roc_points,
    score_bins,
)

FLOATS = st.floats(0, 1, width=32)


def histograms(
    scores: np.ndarray, labels: np.ndarray, bins: int = 4096
) -> tuple[np.ndarray, np.ndarray]:
    """Of a two-class problem, from the probabilities of the second class."""
    found = ScoreHistograms(1, 2, bins)
    found.update(np.zeros(len(labels), np.int64), labels, score_bins(scores[:, None]))
    return found.positives[0], found.every[0]


def two_classes(rows: int, spread: float, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are sharper, up to saturation, the larger ``sharpness``."""
    generator = np.random.default_rng(int(100 * spread + sharpness))
    labels = generator.integers(0, 2, rows)
    logits = sharpness * (generator.normal(size=rows) + spread * labels)
    return (1 / (1 + np.exp(-logits))).astype(np.float32), labels


@given(FLOATS, FLOATS)
def test_larger_scores_are_never_in_lower_bins(first: float, second: float) -> None:
    low, high = sorted((first, second))
    bins = score_bins(np.array([low, high], np.float32))
    assert 0 <= bins[0] <= bins[1] < FINEST


@pytest.mark.parametrize(("bins", "error"), [(FINEST, 2e-5), (4096, 2e-4), (64, 2e-2)])
@pytest.mark.parametrize("sharpness", [0.2, 1, 4, 8])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_area_is_close_to_that_of_sorted_scores(
    bins: int, error: float, sharpness: float, spread: float
) -> None:
    """Also where scores crowd around a half, or near 0 and 1."""
    scores, labels = two_classes(20_000, spread, sharpness)
    positives, every = histograms(scores, labels, bins)
    negatives = every - positives
    same_bin = (positives * negatives).sum() / (positives.sum() * negatives.sum())
    found = area(positives, every)
    assert found is not None
    difference = abs(found.value - roc_auc_score(labels, scores))
    assert difference <= same_bin / 2 + 1e-12
    if (bins, sharpness) != (64, 0.2):  # most scores lie in the two bins next to a half
        assert difference < error


@settings(max_examples=50)
@given(st.lists(st.tuples(FLOATS, st.booleans()), min_size=2, max_size=40))
def test_area_is_between_0_and_1_with_an_error_that_is_never_0(
    rows: list[tuple[float, bool]],
) -> None:
    scores, labels = (np.array(values) for values in zip(*rows, strict=True))
    found = area(*histograms(scores.astype(np.float32), labels.astype(np.int64)))
    if labels.all() or not labels.any():
        assert found is None
    else:
        assert found is not None
        assert 0 <= found.value <= 1
        assert found.standard_error > 0


def test_standard_error_is_delongs() -> None:
    """Against the variances of the placements, from all pairs."""
    scores, labels = two_classes(2000, 1.0, 1.0)
    positive, negative = scores[labels == 1], scores[labels == 0]
    above = positive[:, None] > negative[None, :]
    variance = above.mean(1).var(ddof=1) / len(positive) + above.mean(0).var(ddof=1) / len(negative)
    found = area(*histograms(scores, labels))
    assert found is not None
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=0.01)


def test_error_of_a_macro_area_is_no_smaller_than_what_samples_show() -> None:
    generator = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(150):
        labels = generator.integers(0, 5, 300)
        logits = generator.normal(size=(300, 5)) + 1.2 * np.eye(5)[labels]
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        counts = ScoreHistograms(1, 5, 1024)
        counts.update(np.zeros(300, np.int64), labels, score_bins(scores.astype(np.float32)))
        found = area(counts.positives[0], counts.every[0])
        assert found is not None
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.std(values) < np.mean(errors) < 3 * np.std(values)


def test_absent_class_is_left_out_of_the_mean() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    scores = generator.dirichlet(np.ones(3), 200).astype(np.float32)
    counts = ScoreHistograms(1, 3, 4096)
    counts.update(np.zeros(200, np.int64), labels, score_bins(scores))
    found = area(counts.positives[0], counts.every[0])
    assert found is not None
    expected = np.mean([roc_auc_score(labels == one, scores[:, one]) for one in range(2)])
    assert found.value == pytest.approx(expected, abs=5e-4)


def test_roc_curve_is_thinned_and_keeps_its_area() -> None:
    scores, labels = two_classes(5000, 1.0, 2.0)
    points = roc_points(*histograms(scores, labels))
    assert len(points) <= 100
    true = [point.true_positive_rate for point in points]
    false = [point.false_positive_rate for point in points]
    thresholds = [point.threshold for point in points]
    assert (true[0], false[0], true[-1], false[-1]) == (0, 0, 1, 1)
    assert thresholds == sorted(thresholds, reverse=True)
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)
    middle = points[len(points) // 2]
    above = scores > middle.threshold
    assert middle.true_positive_rate == pytest.approx(above[labels == 1].mean(), abs=1e-3)
    assert middle.false_positive_rate == pytest.approx(above[labels == 0].mean(), abs=1e-3)


def test_roc_curve_of_one_class_is_empty() -> None:
    scores, _ = two_classes(50, 1.0, 1.0)
    assert roc_points(*histograms(scores, np.ones(50, np.int64))) == []
