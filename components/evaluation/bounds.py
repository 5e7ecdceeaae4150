"""Confidence intervals and bounds for accuracies, paired comparisons and percentiles."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from components.shared.results import Interval, PairedCounts


def wilson_interval(accuracy: float, rows: int, confidence: float) -> Interval:
    """Two-sided Wilson score interval of an accuracy.

    Source: Wilson, JASA 22 (1927) 209; recommended by Brown, Cai and DasGupta, Statistical Science
    16 (2001) 101.

    Args:
        accuracy: share of right rows, 0 to 1.
        rows: number of rows, at least 1.
        confidence: level of the interval, such as 0.95.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    lower, upper = _wilson(accuracy, rows, z)
    return Interval(lower=lower, upper=upper)


def wilson_lower_bound(accuracy: float, rows: int, confidence: float) -> float:
    """One-sided Wilson score bound: the accuracy is at least this, with the given confidence."""
    return _wilson(accuracy, rows, NormalDist().inv_cdf(confidence))[0]


def difference_lower_bound(counts: PairedCounts, confidence: float) -> float:
    """One-sided lower bound of accuracy(student) - accuracy(other) on the same rows, -1 to 1.

    The adjusted Wald bound: one row is added to each of the two discordant counts, so that two
    models that never disagree still get a bound below zero. Source: Bonett and Price, Journal of
    Educational and Behavioral Statistics 37 (2012) 479.
    """
    rows = _rows(counts) + 2
    student, other = (counts.only_student + 1) / rows, (counts.only_other + 1) / rows
    difference = student - other
    variance = (student + other - difference**2) / rows
    return max(-1.0, difference - NormalDist().inv_cdf(confidence) * math.sqrt(variance))


def ratio_lower_bound(counts: PairedCounts, confidence: float) -> float | None:
    """One-sided lower bound of accuracy(student) / accuracy(other) on the same rows.

    A Wald bound on the logarithm, with standard error sqrt((n10 + n01) / (n1. * n.1)) (Nam and
    Blackwelder, Statistics in Medicine 21 (2002) 689; Bonett and Price, same journal, 25 (2006)
    3039). One row is added to each discordant count in the standard error, as in
    :func:`difference_lower_bound`: without it the bound of two models that never disagree has no
    width, and 95 % bounds of 30 rows were seen to hold in 78 % of samples only.

    Returns:
        0 where the student is never right, ``None`` where the other model is never right.
    """
    student = counts.both + counts.only_student
    other = counts.both + counts.only_other
    if other == 0:
        return None
    if student == 0:
        return 0.0
    error = math.sqrt((counts.only_student + counts.only_other + 2) / (student * other))
    return student / other * math.exp(-NormalDist().inv_cdf(confidence) * error)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the sample does not exceed.

    Args:
        ordered: the sample in ascending order, not empty.
        share: between 0 and 1, such as 0.95.
    """
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def quantile_upper_bound(ordered: Sequence[float], share: float, confidence: float) -> float:
    """Distribution-free one-sided upper bound of a quantile: an order statistic.

    The number of values below the quantile is binomial(n, share), so the r-th smallest value is a
    bound as soon as P(binomial <= r - 1) >= confidence (exact sum, no approximation). Source: Hahn
    and Meeker, Statistical Intervals (1991), section 5.3.

    It supposes independent values, and so covers the chance of one sample only. Latencies drift
    together: on a busy machine the median of one model was seen to change by tens of percent from
    run to run, where the bound was within 3 % of it. It says nothing of another run or machine.

    Returns:
        Infinity where the sample is too small for a bound (1 - share**n < confidence).
    """
    size = len(ordered)
    successes = np.arange(size)
    log_odds = math.log(share) - math.log1p(-share)
    log_mass = size * math.log1p(-share) + np.concatenate(
        ([0.0], np.cumsum(np.log((size - successes) / (successes + 1)) + log_odds))
    )
    below = np.cumsum(np.exp(log_mass[:size]))
    rank = int(np.searchsorted(below, confidence))
    return ordered[rank] if rank < size else math.inf


def _wilson(accuracy: float, rows: int, z: float) -> tuple[float, float]:
    centre = accuracy + z**2 / (2 * rows)
    spread = z * math.sqrt(accuracy * (1 - accuracy) / rows + z**2 / (4 * rows**2))
    scale = 1 + z**2 / rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _rows(counts: PairedCounts) -> int:
    return counts.both + counts.only_student + counts.only_other + counts.neither
