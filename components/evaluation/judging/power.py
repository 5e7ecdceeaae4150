"""How much a test set can tell about a regression against the champion."""

import math
from statistics import NormalDist

from components.evaluation.bounds import CONTINUITY
from components.shared.results import PairedCounts, Power

GOAL = 0.8
"""The power that is aimed for."""
_HALVINGS = 50
_MOST_ROWS = 1e12
_LATTICE = CONTINUITY + 0.5
"""Rows taken off the margin: the bound's own correction, and half a row since counts are whole
numbers. With both, the exact power at ``rows_needed`` was never below the goal (margins of .2 to 5
points, .2 to 20 % discordant rows). They cost 1 / margin rows more than the first alone."""


def measured_power(counts: PairedCounts, margin: float, confidence: float) -> Power:
    """What the gate against the champion could tell with this test set.

    Args:
        counts: student and champion on the same rows, at least one.
        margin: the recipe's ``gates.champion.max_regression``.
        confidence: level of the gate's bound.
    """
    discordance = expected_discordance(counts)
    return Power(
        rows=counts.rows,
        discordance=discordance,
        margin=margin,
        detectable=detectable_margin(counts.rows, discordance, confidence),
        power=power(counts.rows, discordance, margin, confidence),
        rows_needed=rows_needed(discordance, margin, confidence),
    )


def expected_discordance(counts: PairedCounts) -> float:
    """Share of rows on which two such models differ, above 0.

    One row is added to each discordant count: models that never differed on these rows may on
    others. Source: Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012)
    479.
    """
    return (counts.only_student + counts.only_other + 2) / (counts.rows + 2)


def power(rows: int, discordance: float, margin: float, confidence: float) -> float:
    """Probability that a student as good as the champion passes at a margin.

    Phi((n m - 1 - z sqrt(n V0)) / sqrt(n V1)), where V1 = discordance is the variance of one row's
    difference between equal models, and V0 the one that the score test expects at its limit.
    Source: Nam, Biometrics 53 (1997) 1422; its form is that of Connor, Biometrics 43 (1987) 207.
    """
    z = NormalDist().inv_cdf(confidence)
    spread = z * math.sqrt(rows * _variance_at_margin(discordance, margin))
    distance = rows * margin - _LATTICE - spread
    return NormalDist().cdf(distance / math.sqrt(rows * discordance))


def rows_needed(discordance: float, margin: float, confidence: float) -> int | None:
    """Test rows at which :func:`power` reaches 80 %; ``None`` beyond a trillion.

    It is the solution of the formula of :func:`power` for the square root of the rows. A margin of
    0 is beyond any number of rows.
    """
    if margin <= 0:
        return None
    z = NormalDist().inv_cdf
    spread = z(confidence) * math.sqrt(_variance_at_margin(discordance, margin))
    spread += z(GOAL) * math.sqrt(discordance)
    root = (spread + math.sqrt(spread**2 + 4 * margin * _LATTICE)) / (2 * margin)
    return math.ceil(root**2) if root <= _MOST_ROWS**0.5 else None


def detectable_margin(rows: int, discordance: float, confidence: float) -> float:
    """The smallest margin, 0 to 1, at which :func:`power` reaches 80 %; 1 where none does."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = power(rows, discordance, middle, confidence) >= GOAL
        low, high = (low, middle) if enough else (middle, high)
    return high


def _variance_at_margin(discordance: float, margin: float) -> float:
    """Variance of one row's difference, fitted under "worse by the margin" to equal models.

    The restricted estimate of Tango (see ``bounds``) for counts of rows * discordance / 2 each.
    """
    root = math.sqrt(discordance**2 + 4 * margin**2 * (1 - discordance))
    return max(0.0, (discordance + root) / 2 - margin**2)
