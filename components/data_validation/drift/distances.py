"""Distances between two samples that were counted in the same parts, and what chance explains."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """Between two samples."""

    value: float
    """Population stability index, or total variation distance."""
    p_value: float
    """Of a chi-squared test that both are drawn from the same distribution."""


def stability_index(before: Counts, now: Counts) -> Distance:
    """Population stability index, sum of (p - q) ln(p / q), without what chance adds on average.

    With n and m rows in B parts, chance alone adds about (B - 1)(1/n + 1/m) (Yurdakul and Naranjo,
    "Statistical properties of the population stability index", 2020). Half a row is added to each
    part, so that an empty one is no infinity.
    """
    before, now = _occupied(before, now)
    parts, n, m = len(before), before.sum(), now.sum()
    if parts < 2 or not n or not m:
        return Distance(0.0, 1.0)
    p = (before + 0.5) / (n + 0.5 * parts)
    q = (now + 0.5) / (m + 0.5 * parts)
    raw = float(((p - q) * np.log(p / q)).sum())
    return Distance(max(0.0, raw - (parts - 1) * (1 / n + 1 / m)), _same(before, now))


def total_variation(before: Counts, now: Counts) -> Distance:
    """Half the sum of the absolute differences of the shares, 0 to 1."""
    before, now = _occupied(before, now)
    if len(before) < 2 or not before.sum() or not now.sum():
        return Distance(0.0, 1.0)
    value = float(np.abs(before / before.sum() - now / now.sum()).sum() / 2)
    return Distance(value, _same(before, now))


def _same(before: Counts, now: Counts) -> float:
    """p-value of the chi-squared test of homogeneity (Numerical Recipes, section 14.3)."""
    from scipy.stats import chi2  # type: ignore[import-untyped]

    ratio = np.sqrt(now.sum() / before.sum())
    statistic = ((before * ratio - now / ratio) ** 2 / (before + now)).sum()
    return float(chi2.sf(statistic, len(before) - 1))


def _occupied(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    some = before + now > 0
    return before[some], now[some]
