"""Intervals of the metrics: coverage in small simulations, and never without a width."""

import math
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
import pytest
from scipy.stats import binom

from components.evaluation.bounds import wilson_interval
from components.evaluation.measuring.estimates import (
    balanced_accuracy,
    calibration_error,
    estimates,
    macro_f1,
    one_sided,
)
from components.shared.results import Estimate, MetricName
from tests.evaluation.measuring.test_metrics import random_rows, tallied

SIMULATIONS = 300
METRICS: tuple[MetricName, ...] = get_args(MetricName)


def test_intervals_cover_the_truth() -> None:
    """At 90 % each: what a very large sample shows lies within, in most small ones.

    84 % is asked, which is three standard errors of this simulation below 89 %.
    """
    truth = estimates(tallied(*random_rows(200_000, 4, seed=99)), 0.9)
    held = dict.fromkeys(truth, 0)
    for seed in range(SIMULATIONS):
        found = estimates(tallied(*random_rows(150, 4, seed), bins=1024), 0.9)
        for name, estimate in found.items():
            held[name] += estimate.lower <= truth[name].value <= estimate.upper
    assert set(held) == set(METRICS)
    assert {name: count / SIMULATIONS for name, count in held.items() if count < 252} == {}


def test_standard_errors_are_those_of_repeated_samples() -> None:
    samples = [
        estimates(tallied(*random_rows(400, 4, seed), bins=1024), 0.95) for seed in range(200)
    ]
    for name in METRICS:
        seen = np.std([sample[name].value for sample in samples])
        said = np.mean([sample[name].standard_error for sample in samples])
        # AUROC's over several classes is an upper bound.
        assert 0.85 * seen < said < (3 if name == "auroc" else 1.2) * seen, name


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_perfect_model_still_has_a_margin(classes: int) -> None:
    labels = np.arange(40) % classes
    perfect = np.eye(classes, dtype=np.float32)[labels]
    found = estimates(tallied(labels, perfect, perfect), 0.95)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "agreement"):
        assert found[name].value == found[name].upper == 1
        assert 0.7 < found[name].lower < 0.995, name
        assert one_sided(found[name], name, 40, 0.95, "lower") < 1


def test_model_that_is_never_right_still_has_a_margin() -> None:
    confusion = np.array([[0, 20], [20, 0]])
    for metric in (balanced_accuracy, macro_f1):
        found = metric(confusion, 0.95)
        assert found.value == found.lower == 0
        assert found.upper > 0.02


@pytest.mark.parametrize("rows", [100, 2000])
def test_calibration_interval_of_a_calibrated_model_reaches_zero(rows: int) -> None:
    """At 90 %, the lower end should be zero in 95 of 100; it is known to be so in 91 at least."""
    generator = np.random.default_rng(5)
    reached = 0
    for _ in range(200):
        confidence = generator.uniform(0.5, 1, rows)
        right = generator.random(rows) < confidence
        bins = np.minimum(np.ceil(confidence * 15).astype(int) - 1, 14)
        parts = (None, confidence, right)
        calibration = np.array([np.bincount(bins, part, 15) for part in parts])
        found = calibration_error(calibration, 0.9)
        assert found.lower <= found.value <= found.upper
        reached += found.lower < 0.001
    assert reached >= 174


@pytest.mark.parametrize(
    ("claimed", "held"),
    [
        ([0.55, 0.7, 0.85, 0.97], [0.5, 0.62, 0.78, 0.93]),
        ([0.55, 0.7, 0.85, 0.97], [0.6, 0.62, 0.9, 0.95]),
        ([0.99, 0.99, 0.99, 0.99], [0.96, 0.96, 0.96, 0.96]),
    ],
    ids=["too sure", "off both ways", "off in one bin"],
)
def test_model_whose_calibration_is_at_a_limit_passes_no_more_often_than_the_level_allows(
    claimed: list[float], held: list[float]
) -> None:
    """5 % of 500 samples are 25; the bootstrap's standard error alone let up to 50 pass."""
    generator = np.random.default_rng(6)
    share, confidence, accuracy = np.array([0.05, 0.1, 0.2, 0.65]), np.array(claimed), held
    limit = float((share * np.abs(confidence - accuracy)).sum())
    passed = 0
    for _ in range(500):
        rows = generator.multinomial(800, share)
        right = generator.binomial(rows, accuracy)
        found = calibration_error(np.array([rows, rows * confidence, right], np.float64), 0.95)
        passed += one_sided(found, "calibration_error", 800, 0.95, "upper") < limit
    assert passed <= 36


def test_calibration_interval_does_not_change_from_call_to_call() -> None:
    sums = tallied(*random_rows(100, 3, seed=0))
    first = calibration_error(sums.calibration, 0.95)
    assert calibration_error(sums.calibration, 0.95) == first


def estimate(value: float, error: float) -> Estimate:
    return Estimate(value=value, centre=value, standard_error=error, lower=0, upper=1)


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
@pytest.mark.parametrize("limit", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99])
def test_share_exactly_at_a_limit_passes_no_more_often_than_the_level_allows(
    limit: float, confidence: float
) -> None:
    """Every count of right rows, with its binomial probability."""
    for rows in (30, 50, 100, 300, 797, 2000):
        passing = [
            right
            for right in range(rows + 1)
            if one_sided(estimate(right / rows, 0.01), "accuracy", rows, confidence, "lower")
            >= limit
        ]
        assert binom.pmf(passing, rows, limit).sum() <= 1 - confidence


def test_upper_bound_of_a_share_mirrors_the_lower_one() -> None:
    lower = one_sided(estimate(0.9, 0.01), "agreement", 200, 0.95, "lower")
    upper = one_sided(estimate(0.1, 0.01), "agreement", 200, 0.95, "upper")
    assert upper == pytest.approx(1 - lower)
    assert lower < wilson_interval(0.9, 200, 0.9).lower


@pytest.mark.parametrize("metric", ["accuracy", "agreement"])
def test_bound_of_a_share_is_newcombes(metric: MetricName) -> None:
    """81 of 263 rows: .2535 and .3682 at 95 %, two-sided (Newcombe 1998, table I, method 4)."""
    given = estimate(81 / 263, 0.03)
    assert one_sided(given, metric, 263, 0.975, "lower") == pytest.approx(0.2535, abs=1e-4)
    assert one_sided(given, metric, 263, 0.975, "upper") == pytest.approx(0.3682, abs=1e-4)


def test_calibration_bound_is_z_errors_away_within_the_range() -> None:
    given = estimate(0.1, 0.1)
    assert one_sided(given, "calibration_error", 9, 0.975, "upper") == pytest.approx(
        0.296, abs=1e-3
    )
    assert one_sided(given, "calibration_error", 9, 0.975, "lower") == 0


CONFUSIONS = {
    "rare class": ([950, 50], [0.99, 0.96]),
    "two classes": ([100, 100], [0.98, 0.98]),
    "hard class": ([900, 100], [0.95, 0.7]),
    "ten classes": ([100] * 10, [0.99] * 10),
    "few rows": ([20] * 10, [0.99] * 10),
    "three classes": ([60] * 3, [0.9] * 3),
}


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
@pytest.mark.parametrize("case", CONFUSIONS)
@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_confusion_exactly_at_the_limit_passes_no_more_often_than_the_level_allows(
    metric: MetricName, case: str, confidence: float
) -> None:
    rows, recalls = (np.array(values) for values in CONFUSIONS[case])
    of = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}[metric]
    expected = np.diag(rows * recalls)
    others = ~np.eye(len(rows), dtype=bool)
    expected[others] = np.repeat(rows * (1 - recalls) / (len(rows) - 1), len(rows) - 1)
    limit = of(expected, 0.95).value
    generator = np.random.default_rng(0)
    passed = 0
    for _ in range(600):
        right = generator.binomial(rows, recalls)
        drawn = np.diag(right)
        drawn[others] = generator.multinomial(
            rows - right, [1 / (len(rows) - 1)] * (len(rows) - 1)
        ).ravel()
        passed += one_sided(of(drawn, 0.95), metric, int(rows.sum()), confidence, "lower") >= limit
    assert passed <= binom.ppf(0.999, 600, 1 - confidence)


RANKINGS = {
    "binormal": (142, 85, 0.99, 0.0),
    "few": (40, 40, 0.995, 0.0),
    "overlapping": (50, 500, 0.9, 0.0),
    "some positives at the bottom": (100, 900, 1.0, 0.04),
    "rarely at the bottom": (40, 400, 1.0, 0.02),
}


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
@pytest.mark.parametrize("case", RANKINGS)
def test_ranking_exactly_at_the_limit_passes_no_more_often_than_the_level_allows(
    case: str, confidence: float
) -> None:
    positives, negatives, binormal, bottom = RANKINGS[case]
    limit = (1 - bottom) * binormal
    apart = 9.0 if binormal == 1 else NormalDist().inv_cdf(binormal) * math.sqrt(2)
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 0], [positives, negatives])
    passed = 0
    for _ in range(300):
        logits = generator.normal(size=len(labels)) + apart * labels
        logits[: generator.binomial(positives, bottom)] = -30
        scores = 1 / (1 + np.exp(-(logits - apart / 2)))
        both = np.stack([1 - scores, scores], axis=1).astype(np.float32)
        found = estimates(tallied(labels, both, both), 0.95)
        bound = one_sided(found["auroc"], "auroc", len(labels), confidence, "lower")
        passed += bound >= limit
    assert passed <= binom.ppf(0.999, 300, 1 - confidence)


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
@pytest.mark.parametrize(("rows", "wrong"), [(200, 0.02), (500, 0.01), (1000, 0.01)])
def test_log_loss_with_rare_great_losses_passes_no_more_often_than_the_level_allows(
    rows: int, wrong: float, confidence: float
) -> None:
    limit = 6 * wrong + 0.01 * (1 - wrong)
    generator = np.random.default_rng(0)
    passed = 0
    for _ in range(2000):
        losses = np.where(generator.random(rows) < wrong, 6.0, 0.01)
        error = losses.std(ddof=1) / math.sqrt(rows)
        bound = one_sided(estimate(losses.mean(), error), "log_loss", rows, confidence, "upper")
        passed += bound <= limit
    assert passed <= 2000 * (1 - confidence)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_one_sided_bound_of_nan_is_nan(metric: MetricName, side: Literal["lower", "upper"]) -> None:
    for given in (estimate(math.nan, 0.1), estimate(0.5, math.nan)):
        assert math.isnan(one_sided(given, metric, 100, 0.95, side))
