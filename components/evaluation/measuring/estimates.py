"""Each metric with its standard error and confidence interval, from sums over rows."""

import math
from statistics import NormalDist
from typing import Literal

import numpy as np

from components.evaluation.bounds import wilson_interval
from components.evaluation.measuring.metrics import Floats, Sums
from components.evaluation.measuring.ranking import Counts, area
from components.shared.results import Estimate, MetricName

SHARES: tuple[MetricName, ...] = ("accuracy", "agreement")
"""Metrics that are shares of the rows."""
_UNBOUNDED: tuple[MetricName, ...] = ("log_loss", "kl_to_teacher")
_RESAMPLES = 500
_SEED = 0


def one_sided(
    estimate: Estimate,
    metric: MetricName,
    rows: int,
    confidence: float,
    side: Literal["lower", "upper"],
) -> float:
    """One-sided confidence bound of a metric.

    For accuracy and agreement it is Wilson's bound with a continuity correction of half a row
    (Newcombe, Statistics in Medicine 17 (1998) 857, method 4), since rows come in whole numbers:
    without it a student exactly at the limit passes a gate at 95 % in up to 6 % of samples. For
    others it is the value less or plus z standard errors, within the range of the metric.

    Args:
        estimate: the metric.
        metric: which one it is.
        rows: rows it was measured on, at least 1.
        confidence: level of the bound, above 0.5.
        side: which bound.

    Returns:
        NaN where the value or its standard error is.
    """
    if math.isnan(estimate.value) or math.isnan(estimate.standard_error):
        return math.nan
    if metric in SHARES:
        half = 0.5 / rows
        away = estimate.value - half if side == "lower" else estimate.value + half
        interval = wilson_interval(min(max(away, 0.0), 1.0), rows, 2 * confidence - 1)
        return interval.lower if side == "lower" else interval.upper
    reach = NormalDist().inv_cdf(confidence) * estimate.standard_error
    least, most = _range(metric)
    if side == "lower":
        return max(least, estimate.value - reach)
    return min(most, estimate.value + reach)


def estimates(sums: Sums, confidence: float) -> dict[MetricName, Estimate]:
    """All metrics of a group of rows, at least one.

    AUROC is left out where all rows are of one class, log-loss and KL where there is one row only,
    whatever needs the confusion matrix or the scores where these were not kept.

    Args:
        sums: of the rows.
        confidence: level of the two-sided intervals.
    """
    found: dict[MetricName, Estimate | None] = {
        "accuracy": _share(sums.right, sums.rows, confidence),
        "balanced_accuracy": None,
        "macro_f1": None,
        "auroc": None,
        "log_loss": _mean("log_loss", sums.loss, sums.rows, confidence),
        "calibration_error": calibration_error(sums.calibration, confidence),
        "agreement": _share(sums.agreeing, sums.rows, confidence),
        "kl_to_teacher": _mean("kl_to_teacher", sums.divergence, sums.rows, confidence),
    }
    confusion, positives, every = sums.detail
    if confusion.size:
        found["balanced_accuracy"] = balanced_accuracy(confusion, confidence)
        found["macro_f1"] = macro_f1(confusion, confidence)
    ranking = area(positives, every)
    if ranking:
        found["auroc"] = _normal("auroc", ranking.value, ranking.standard_error, confidence)
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def balanced_accuracy(confusion: Counts, confidence: float) -> Estimate:
    """Mean recall of the classes that have rows, as in scikit-learn.

    Recalls of different classes are independent binomials. The interval is Price and Bonett's
    (Computational Statistics & Data Analysis 45 (2004) 449): with m classes, 2/m right and 2/m
    wrong rows are added to each, so that it has a width where all rows are right.

    Args:
        confusion: rows by true and predicted class, shape (classes, classes).
        confidence: level of the interval.
    """
    rows = confusion.sum(axis=1)
    there = rows > 0
    rows, right = rows[there], confusion.diagonal()[there]
    added = 2 / len(rows)
    recall = (right + added) / (rows + 2 * added)
    error = math.sqrt((recall * (1 - recall) / (rows + 2 * added)).sum()) / len(rows)
    value = float((right / rows).mean())
    return _normal("balanced_accuracy", value, error, confidence, centre=float(recall.mean()))


def macro_f1(confusion: Counts, confidence: float) -> Estimate:
    """Mean F1 of the classes that have rows or are predicted, as in scikit-learn.

    The standard error is by the delta method (Takahashi, Yamamoto, Kuchiba and Koyama, Applied
    Intelligence 52 (2022) 4961). One right row and one wrong one are added to it, spread over the
    classes that have rows, so that it is not zero where all rows are right.

    Args:
        confusion: rows by true and predicted class, shape (classes, classes).
        confidence: level of the interval.
    """
    rows = int(confusion.sum())
    size = len(confusion)
    weight = (confusion.sum(axis=0) + confusion.sum(axis=1)) / rows
    used = weight > 0
    f1 = np.divide(2 * confusion.diagonal() / rows, weight, out=np.zeros(size), where=used)
    share = np.divide(1 / used.sum(), weight, out=np.zeros(size), where=used)
    # What a row of each cell adds to the mean F1: the derivative by the cell's probability.
    influence = -(f1 * share)[:, None] - (f1 * share)[None, :]
    influence[np.diag_indices(size)] += 2 * share
    there = confusion.sum(axis=1) > 0
    added = np.where(there[:, None], 1 / (there.sum() * (size - 1)), 0.0)
    added = np.broadcast_to(added, confusion.shape).copy()
    added[np.diag_indices(size)] = there / there.sum()
    probability = (confusion + added) / (rows + 2)
    mean = (probability * influence).sum()
    variance = (probability * influence**2).sum() - mean**2
    error = math.sqrt(max(variance, 0.0) / (rows + 2))
    return _normal("macro_f1", float(f1[used].mean()), error, confidence)


def calibration_error(calibration: Floats, confidence: float) -> Estimate:
    """Expected calibration error over 15 bins of equal width.

    Source: Guo et al., arXiv 1706.04599, formula 3. Noise makes the gaps between confidence and
    accuracy larger, so that on few rows the error is above the true one. The standard error is a
    bootstrap's, from gaps that are freed of the noise (two standard errors, in squares): 500 times,
    from one seed, rows are drawn anew among the bins, and each bin's accuracy from a normal
    distribution. The lower end is the basic bootstrap's (Davison and Hinkley, Bootstrap Methods and
    their Application (1997), section 5.2), which takes off what noise added; in simulations it held
    in 91 % of samples or more where 95 % were asked. The upper end is z standard errors above the
    value, and held in all but a few.

    Args:
        calibration: :attr:`Sums.calibration`.
        confidence: level of the interval.
    """
    rows, expected, right = calibration[:, calibration[0] > 0]
    total = rows.sum()
    gap = (expected - right) / rows
    value = float(np.abs(rows * gap).sum() / total)
    accuracy = (right + 1) / (rows + 2)
    variance = accuracy * (1 - accuracy)
    freed = np.sqrt((gap**2 - 4 * variance / rows).clip(0)) * np.sign(gap)
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(int(total), rows / total, size=_RESAMPLES)
    noise = np.sqrt(drawn * variance) * generator.standard_normal(drawn.shape)
    again = np.abs(drawn * freed + noise).sum(axis=1) / total
    away = again - np.abs(rows * freed).sum() / total
    high = float(np.quantile(away, (1 + confidence) / 2))
    found = _normal("calibration_error", value, float(again.std(ddof=1)), confidence)
    return found.model_copy(update={"lower": min(max(0.0, value - high), value)})


def _share(count: int, rows: int, confidence: float) -> Estimate:
    value = count / rows
    interval = wilson_interval(value, rows, confidence)
    return Estimate(
        value=value,
        standard_error=math.sqrt(value * (1 - value) / rows),
        # Wilson's ends may miss 0 and 1 by a rounding error.
        lower=min(interval.lower, value),
        upper=max(interval.upper, value),
    )


def _mean(metric: MetricName, moments: Floats, rows: int, confidence: float) -> Estimate | None:
    """A mean over rows, by the central limit theorem."""
    if rows < 2:
        return None
    mean, square = (moments / rows).tolist()
    error = math.sqrt(max(square - mean**2, 0.0) / (rows - 1))
    return _normal(metric, max(mean, 0.0), error, confidence)


def _normal(
    metric: MetricName, value: float, error: float, confidence: float, centre: float | None = None
) -> Estimate:
    """z standard errors around ``centre``, by default the value, which is always inside."""
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    middle = value if centre is None else centre
    least, most = _range(metric)
    return Estimate(
        value=value,
        standard_error=error,
        lower=min(max(least, middle - reach), value),
        upper=max(min(most, middle + reach), value),
    )


def _range(metric: MetricName) -> tuple[float, float]:
    return 0.0, math.inf if metric in _UNBOUNDED else 1.0
