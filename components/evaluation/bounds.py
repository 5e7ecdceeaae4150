"""Confidence bounds of accuracies, alone and compared on the same rows.

The paired bounds invert score tests: a value is above the bound as long as the data could well have
come from it, where the nuisance (how often the two models differ) is fitted under that very value.
The adjusted Wald bounds of Bonett and Price are simpler, but too lenient where models differ on few
rows, which is the usual case here: by exact enumeration over 100 to 5,000 rows, 1 to 20 % of them
discordant, and margins of .5 to 3 points, a 95 % bound let through up to 9.7 % of the students that
are worse by exactly the margin, and a 98.75 % bound 4.2 % (nominal: 5 and 1.25 %). Score bounds
reach 6.1 and 1.3 %; with half a row of continuity correction 4.8 and 1.2 %, which is why it is
there. Nothing is lost in large samples.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from components.shared.results import Interval, PairedCounts

CONTINUITY = 0.5
"""Rows that are taken off the observed difference, since rows come in whole numbers."""
_HALVINGS = 50


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


def difference_lower_bound(
    counts: PairedCounts, confidence: float, continuity: float = CONTINUITY
) -> float:
    """One-sided lower bound of accuracy(student) - accuracy(other) on the same rows, -1 to 1.

    Score bound with a continuity correction. Source: Tango, Statistics in Medicine 17 (1998) 891.

    By exact enumeration it keeps its level, from 90 % up, for every margin by which the student may
    be worse. For a gain above zero that has to be shown, it is up to 5.6 % instead of 5, and 1.7 %
    instead of 1.25, where the other model is hardly ever right alone.

    Args:
        counts: at least one row.
        confidence: such as 0.95.
        continuity: rows taken off the difference; 0 gives Tango's interval as published.
    """
    z = NormalDist().inv_cdf(confidence)
    rows, student, other = counts.rows, counts.only_student, counts.only_other
    observed = student - other - continuity

    def too_low(difference: float) -> bool:
        b = (2 * rows - student + other) * difference - student - other
        root = math.sqrt(max(0.0, b**2 + 8 * rows * other * difference * (1 - difference)))
        only_other = (root - b) / (4 * rows)
        variance = max(0.0, 2 * only_other + difference - difference**2)
        return observed - rows * difference >= z * math.sqrt(rows * variance)

    return _last(too_low, -1.0, 1.0)


def ratio_lower_bound(
    counts: PairedCounts, confidence: float, continuity: float = CONTINUITY
) -> float | None:
    """One-sided lower bound of accuracy(student) / accuracy(other) on the same rows.

    Score bound with a continuity correction. Sources: Nam and Blackwelder, Statistics in Medicine
    21 (2002) 689; Tang, Tang and Chan, same journal, 22 (2003) 1217.

    Args:
        counts: at least one row.
        confidence: such as 0.95.
        continuity: rows taken off the difference that is tested; 0 gives the interval as published.

    Returns:
        0 where the student is never right, ``None`` where the other model is never right.
    """
    z = NormalDist().inv_cdf(confidence)
    student, other = counts.both + counts.only_student, counts.both + counts.only_other
    if other == 0:
        return None
    some = student + counts.only_other

    def too_low(share: float) -> bool:
        ratio = share / (1 - share)
        a = (1 + ratio) * some
        b = some * (
            counts.both * (ratio**2 - 1) - counts.only_student - counts.only_other * (2 - ratio**2)
        )
        c = counts.only_other * some**2 * (1 - ratio)
        only_other = (math.sqrt(max(0.0, b**2 - 4 * a * c)) - b) / (2 * a)
        only_student = (some * (ratio - 1) + only_other) / ratio
        variance = max(0.0, ratio * (only_student + only_other))
        return student - ratio * other - continuity >= z * math.sqrt(variance)

    share = _last(too_low, 0.0, 1.0)
    return share / (1 - share)


def mcnemar(counts: PairedCounts) -> float:
    """Exact two-sided p-value of "both are right equally often", 0 to 1; 1 if they never differ.

    Twice the smaller tail of a binomial with one half. Source: McNemar, Psychometrika 12 (1947)
    153, in its exact conditional form.
    """
    discordant = counts.only_student + counts.only_other
    smaller = np.arange(min(counts.only_student, counts.only_other))
    log_mass = np.concatenate(
        ([0.0], np.cumsum(np.log((discordant - smaller) / (smaller + 1))))
    ) - discordant * math.log(2)
    return min(1.0, 2 * float(np.exp(log_mass).sum()))


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest number for which ``holds`` is true, by bisection; it is true for the first ones,
    and taken to be so for ``low``."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _wilson(accuracy: float, rows: int, z: float) -> tuple[float, float]:
    centre = accuracy + z**2 / (2 * rows)
    spread = z * math.sqrt(accuracy * (1 - accuracy) / rows + z**2 / (4 * rows**2))
    scale = 1 + z**2 / rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
