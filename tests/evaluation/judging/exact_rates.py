"""How often the gate against the champion passes, by adding up every possible outcome."""

from scipy import stats

from components.evaluation.bounds import difference_lower_bound
from components.shared.results import PairedCounts

_LOST = 1e-9
"""Probability of the outcomes that are left out."""


def pass_rate(
    rows: int, discordance: float, difference: float, margin: float, confidence: float
) -> float:
    """Probability that the bound of the difference is at least -margin.

    Args:
        rows: test rows.
        discordance: true share of rows on which only one of the models is right.
        difference: true accuracy of the student less the champion's, at most ``discordance``.
        margin: largest tolerated regression.
        confidence: level of the bound.
    """
    share = (discordance + difference) / 2 / discordance
    low, high = stats.binom.ppf([_LOST, 1 - _LOST], rows, discordance)
    rate = 0.0
    for both in range(int(low), int(high) + 1):
        fewest = _fewest(rows, both, margin, confidence)
        rate += stats.binom.pmf(both, rows, discordance) * stats.binom.sf(fewest - 1, both, share)
    return float(rate + 2 * _LOST)


def _fewest(rows: int, discordant: int, margin: float, confidence: float) -> int:
    """The fewest rows that only the student has right with which it passes, by bisection; one more
    than there are, if none is enough."""
    low, high = 0, discordant + 1
    while low < high:
        middle = (low + high) // 2
        counts = PairedCounts(
            both=rows - discordant, only_student=middle, only_other=discordant - middle, neither=0
        )
        passes = difference_lower_bound(counts, confidence) >= -margin
        low, high = (low, middle) if passes else (middle + 1, high)
    return low
