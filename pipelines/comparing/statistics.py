"""Means over seeds with their intervals; pure functions."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from components.shared.results.base import Interval
from pipelines.comparing.records import Mean, Standing


def mean_of(values: Sequence[float], confidence: float) -> Mean:
    """A mean with the two-sided interval of Student's t.

    Args:
        values: one for each seed, at least one.
        confidence: level of the interval, 0 to 1.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Mean(mean=mean, interval=None, values=list(values))
    from scipy.stats import t  # type: ignore[import-untyped]

    quantile = float(t.ppf((1 + confidence) / 2, len(values) - 1))
    reach = quantile * stdev(values) / math.sqrt(len(values))
    return Mean(
        mean=mean, interval=Interval(lower=mean - reach, upper=mean + reach), values=list(values)
    )


def standing(gain: Mean) -> Standing:
    """Whether a mean gain is beyond chance: where its interval leaves out zero."""
    if gain.interval is not None and gain.interval.lower > 0:
        return "ahead"
    if gain.interval is not None and gain.interval.upper < 0:
        return "behind"
    return "level"
