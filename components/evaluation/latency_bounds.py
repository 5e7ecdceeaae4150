"""Confidence bounds of latencies that were measured in segments.

All of them are order statistics of the segments, and suppose nothing of how latencies are
distributed. Source: Hahn and Meeker, Statistical Intervals (1991), section 5.2: of n independent
values, the number below the median is binomial(n, 1/2), so the r-th smallest is an upper bound of
the median as soon as P(binomial <= r - 1) >= confidence.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.shared.results import Interval, Percentile


def segment_percentiles(samples: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.float64]:
    """A percentile of each segment.

    The figure that is reported is the median over segments, hence the median-unbiased estimate:
    number 8 of Hyndman and Fan, The American Statistician 50 (1996) 361. Where a segment has too
    few calls for it, successive segments are joined until they have enough: their largest call
    would be too low a figure.

    Args:
        samples: one latency for each call, shape (segments, calls).
        share: between 0 and 1, such as 0.95.

    Returns:
        One value for each segment, or for each group of them.
    """
    segments, calls = samples.shape
    group = -(-calls_needed(share) // calls)
    whole = segments // group
    joined = samples[: whole * group].reshape(whole, group * calls)
    return np.quantile(joined, share, axis=1, method="median_unbiased")


def calls_needed(share: float) -> int:
    """The fewest calls whose median-unbiased percentile is not beyond the largest of them: n with
    (n + 1/3) share + 1/3 <= n, so 13 for the 95th percentile and 67 for the 99th."""
    return math.ceil((1 + share) / (3 * (1 - share)) - 1e-9)


def median_interval(segments: Sequence[float], confidence: float) -> Interval:
    """Two-sided interval of the median that positive values come from.

    Each side is a bound at (1 + confidence) / 2. It supposes that segments are independent, so it
    speaks of this measurement: on another day the machine may be slower.

    Returns:
        0 and infinity where there are too few values: 2 ** (1 - n) > 1 - confidence.
    """
    ordered = sorted(segments)
    rank = _rank(len(ordered), (1 + confidence) / 2)
    if rank is None:
        return Interval(lower=0.0, upper=math.inf)
    return Interval(lower=ordered[-1 - rank], upper=ordered[rank])


def upper_bound(percentile: Percentile, confidence: float) -> float:
    """One-sided upper bound of a latency percentile, in milliseconds.

    Returns:
        Infinity where there are too few segments: 2 ** -n > 1 - confidence.
    """
    return _median_upper_bound(percentile.segments, confidence)


def ratio(student: Percentile, other: Percentile, confidence: float) -> tuple[float, float]:
    """How much slower the student is than another model that was measured in turn with it.

    The figure is the median of the segments' ratios, the bound an order statistic of them. Models
    take turns in small blocks within a segment, in an order that favours none, so what slows the
    machine down for a segment cancels. It supposes that the models of one segment are exchangeable
    but for their speed (then identical models give ratios whose logarithm is symmetric around 0)
    and that the ratios of different segments are independent, which is far weaker than independent
    latencies.

    Returns:
        The ratio and its one-sided upper bound, infinity where there are too few segments.

    Raises:
        ValueError: the percentiles do not have the same number of segments, or have none.
    """
    mine, theirs = student.segments, other.segments
    if len(mine) != len(theirs) or not mine:
        raise ValueError(f"percentiles of {len(mine)} and {len(theirs)} segments have no ratio")
    ratios = [one / another for one, another in zip(mine, theirs, strict=True)]
    return statistics.median(ratios), _median_upper_bound(ratios, confidence)


def _median_upper_bound(values: Sequence[float], confidence: float) -> float:
    rank = _rank(len(values), confidence)
    return math.inf if rank is None else sorted(values)[rank]


def _rank(size: int, confidence: float) -> int | None:
    """The first index, from 0, of the ascending values that bounds their median from above."""
    successes = np.arange(size)
    log_mass = np.concatenate(([0.0], np.cumsum(np.log((size - successes) / (successes + 1)))))
    below = np.cumsum(np.exp(log_mass[:size] - size * math.log(2)))
    rank = int(np.searchsorted(below, confidence))
    return rank if rank < size else None
