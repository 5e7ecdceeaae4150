"""Each metric with its standard error and confidence interval, from sums over rows."""

import math
from statistics import NormalDist
from typing import Literal

import numpy as np

from components.evaluation.bounds import wilson_interval
from components.evaluation.measuring.metrics import LEAST_PROBABILITY, Floats, Sums
from components.evaluation.measuring.ranking import Counts, area
from components.shared.results import Estimate, MetricName

SHARES: tuple[MetricName, ...] = ("accuracy", "agreement")
"""Metrics that are shares of the rows."""
_RATES: tuple[MetricName, ...] = ("balanced_accuracy", "macro_f1", "auroc")
"""Other metrics from 0 to 1 where more is better."""
_LOSSES: tuple[MetricName, ...] = ("log_loss", "kl_to_teacher")
_TINY = 1e-9
_STEEP = 500.0
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

    * accuracy, agreement: Wilson's bound with a continuity correction of half a row (Newcombe,
      Statistics in Medicine 17 (1998) 857, method 4), since rows come in whole numbers: without it
      a student exactly at the limit passes a gate at 95 % in up to 6 % of samples;
    * balanced accuracy, macro-F1, AUROC: z standard errors from the centre on the logit scale
      (Pepe, The Statistical Evaluation of Medical Tests (2003), section 2.2), since their
      distribution is skew near 1; from the value itself, up to 14 % passed;
    * log-loss and KL: z standard errors above the mean, with one row more at the largest loss that
      there is, in mean and error: a sample that happens to lack a rare row of great loss shows
      neither the loss nor the error;
    * calibration error: z standard errors above the value, which noise has enlarged already.

    Args:
        estimate: the metric.
        metric: which one it is.
        rows: rows it was measured on, at least 1.
        confidence: level of the bound, above 0.5.
        side: which bound.

    Returns:
        NaN where the value or its standard error is.
    """
    if any(map(math.isnan, (estimate.value, estimate.centre, estimate.standard_error))):
        return math.nan
    z = NormalDist().inv_cdf(confidence) * (-1 if side == "lower" else 1)
    if metric in SHARES:
        half = math.copysign(0.5 / rows, z)
        away = min(max(estimate.value + half, 0.0), 1.0)
        interval = wilson_interval(away, rows, 2 * confidence - 1)
        return interval.lower if side == "lower" else interval.upper
    if metric in _RATES:
        return _rate_bound(estimate.centre, estimate.standard_error, z)
    if metric in _LOSSES and side == "upper":
        return _with_a_worst_row(estimate, rows, z)
    least, most = value_range(metric)
    return min(max(least, estimate.value + z * estimate.standard_error), most)


def _rate_bound(centre: float, error: float, z: float) -> float:
    """z standard errors from ``centre``, below it where z is negative, on the logit scale.

    With the same error a larger centre never has a lower bound: where that would be so, as it is
    for a centre within about z errors of 1, it has the highest bound that a smaller one has.
    """
    if z > 0:
        return 1 - _rate_bound(1 - centre, error, -z)
    reach = -z * error
    highest = (1 - 2 * reach + math.sqrt(1 + 4 * reach**2)) / 2
    inside = min(max(centre, _TINY), highest, 1 - _TINY)
    odds = math.log(inside / (1 - inside)) - reach / (inside * (1 - inside))
    return 1 / (1 + math.exp(-odds)) if odds > -_STEEP else 0.0


def _with_a_worst_row(estimate: Estimate, rows: int, z: float) -> float:
    worst = -math.log(LEAST_PROBABILITY)
    square = estimate.standard_error**2 * (rows - 1) + estimate.value**2
    mean = (rows * estimate.value + worst) / (rows + 1)
    variance = (rows * square + worst**2) / (rows + 1) - mean**2
    return mean + z * math.sqrt(variance / (rows + 1))


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
        found["auroc"] = _rate(ranking.value, ranking.centre, ranking.standard_error, confidence)
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
    return _rate(value, float(recall.mean()), error, confidence)


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
    counts = confusion + added
    both = counts.sum(axis=0) + counts.sum(axis=1)
    centre = float((2 * counts.diagonal()[used] / both[used]).mean())
    return _rate(float(f1[used].mean()), centre, error, confidence)


def calibration_error(calibration: Floats, confidence: float) -> Estimate:
    """Expected calibration error over 15 bins of equal width.

    Source: Guo et al., arXiv 1706.04599, formula 3. Noise makes the gaps between confidence and
    accuracy larger, so that on few rows the error is above the true one. There are two standard
    errors, of which the larger counts. One is a bootstrap's, from gaps that are freed of the noise
    (two standard errors, in squares): 500 times, from one seed, rows are drawn anew among the bins,
    and each bin's accuracy from a normal distribution. The other is that of a mean over the rows,
    as if no gap could change its sign: where some can, the error varies less. Both ends are z
    standard errors from the value; the lower one is that of the basic bootstrap (Davison and
    Hinkley, Bootstrap Methods and their Application (1997), section 5.2), which takes off what
    noise added, where that is lower. In simulations a one-sided bound of 95 % was wrong in up to
    6 % of 800 samples or more, and in 10 % of 200 in the worst case, one bin of rare mistakes.

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
    squares = float((rows * (variance + gap**2)).sum() / total)
    of_mean = math.sqrt(max(squares - value**2, 0.0) / total)
    error = max(float(again.std(ddof=1)), of_mean)
    found = _normal("calibration_error", value, error, confidence)
    return found.model_copy(update={"lower": min(max(0.0, value - high), found.lower)})


def _share(count: int, rows: int, confidence: float) -> Estimate:
    value = count / rows
    interval = wilson_interval(value, rows, confidence)
    return Estimate(
        value=value,
        centre=value,
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


def _normal(metric: MetricName, value: float, error: float, confidence: float) -> Estimate:
    """z standard errors around the value."""
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    least, most = value_range(metric)
    return Estimate(
        value=value,
        centre=value,
        standard_error=error,
        lower=max(least, value - reach),
        upper=min(most, value + reach),
    )


def _rate(value: float, centre: float, error: float, confidence: float) -> Estimate:
    """z standard errors around the centre on the logit scale; the value is always inside."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return Estimate(
        value=value,
        centre=centre,
        standard_error=error,
        lower=min(_rate_bound(centre, error, -z), value),
        upper=max(_rate_bound(centre, error, z), value),
    )


def value_range(metric: MetricName) -> tuple[float, float]:
    """The least and the greatest value that a metric can have."""
    return 0.0, math.inf if metric in _LOSSES else 1.0
