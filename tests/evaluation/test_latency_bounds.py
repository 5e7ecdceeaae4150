"""Bounds from segments: exact order statistics, and ratios in which the machine cancels."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation.latency_bounds import (
    calls_needed,
    median_interval,
    ratio,
    segment_percentiles,
    upper_bound,
)
from components.shared.results import Percentile

latencies = st.lists(st.floats(0.001, 1000), min_size=1, max_size=60)


def percentile(segments: list[float]) -> Percentile:
    return Percentile(value=0.0, lower=0.0, upper=0.0, segments=segments)


def at_most(successes: int, trials: int) -> Fraction:
    """P(binomial(trials, 1/2) <= successes), exactly."""
    return Fraction(sum(math.comb(trials, k) for k in range(successes + 1)), 2**trials)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.995])
@pytest.mark.parametrize("segments", [1, 4, 5, 7, 8, 20, 21, 400])
def test_upper_bound_is_the_first_order_statistic_that_is_sure_enough(
    segments: int, confidence: float
) -> None:
    bound = upper_bound(percentile([float(value) for value in range(segments)][::-1]), confidence)
    if math.isinf(bound):
        assert at_most(segments - 1, segments) < confidence
    else:
        assert at_most(int(bound), segments) >= confidence
        assert bound == 0 or at_most(int(bound) - 1, segments) < confidence


def test_bounds_of_a_published_table() -> None:
    """Of 20 values, the 6th and the 15th are a 95 % interval of the median, and the 15th is a
    one-sided bound (Conover, Practical Nonparametric Statistics, 1999, table A3)."""
    values = [float(value) for value in range(1, 21)]
    interval = median_interval(values, 0.95)
    assert (interval.lower, interval.upper) == (6, 15)
    assert upper_bound(percentile(values), 0.95) == 15


def test_too_few_segments_have_no_bound() -> None:
    assert upper_bound(percentile([1.0] * 4), 0.95) == math.inf
    assert upper_bound(percentile([1.0] * 5), 0.95) == 1.0
    assert upper_bound(percentile([]), 0.95) == math.inf
    interval = median_interval([1.0] * 5, 0.95)
    assert (interval.lower, interval.upper) == (0.0, math.inf)


@pytest.mark.parametrize("segments", [8, 20, 55])
def test_upper_bound_covers_the_median_of_a_skewed_distribution(segments: int) -> None:
    generator = np.random.default_rng(segments)
    samples = generator.lognormal(0, 1, size=(4000, segments))
    held = np.mean([upper_bound(percentile(row.tolist()), 0.95) >= 1 for row in samples])
    assert 0.94 <= held < 1


@given(latencies, st.floats(0.01, 100), st.sampled_from([0.9, 0.95, 0.99]))
def test_ratio_to_a_model_that_is_always_so_many_times_faster(
    segments: list[float], factor: float, confidence: float
) -> None:
    slower = percentile([factor * value for value in segments])
    figure, bound = ratio(slower, percentile(segments), confidence)
    assert figure == pytest.approx(factor)
    assert bound == pytest.approx(factor) or bound == math.inf


@given(latencies, latencies)
def test_ratio_bound_is_never_below_the_ratio(one: list[float], other: list[float]) -> None:
    size = min(len(one), len(other))
    figure, bound = ratio(percentile(one[:size]), percentile(other[:size]), 0.95)
    assert bound >= figure


def test_ratio_pairs_the_segments() -> None:
    """A machine that is ten times slower for half of the time changes nothing."""
    other = [1.0, 10.0] * 10
    assert ratio(percentile([1.2 * value for value in other]), percentile(other), 0.95) == (
        pytest.approx(1.2),
        pytest.approx(1.2),
    )


def test_ratio_refuses_segments_that_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="2 and 1 segments"):
        ratio(percentile([1.0, 2.0]), percentile([1.0]), 0.95)
    with pytest.raises(ValueError, match="0 and 0 segments"):
        ratio(percentile([]), percentile([]), 0.95)


@pytest.mark.parametrize(("share", "calls"), [(0.5, 1), (0.95, 13), (0.99, 67)])
def test_percentile_of_a_segment_is_median_unbiased(share: float, calls: int) -> None:
    assert calls_needed(share) == calls
    generator = np.random.default_rng(0)
    samples = generator.uniform(0, 1e9, size=(20_000, calls)).astype(np.int64)
    below = np.mean(segment_percentiles(samples, share) < share * 1e9)
    assert below == pytest.approx(0.5, abs=0.02)


def test_short_segments_are_joined_for_the_tail() -> None:
    samples = np.arange(1, 151).reshape(10, 15)
    assert len(segment_percentiles(samples, 0.95)) == 10
    joined = segment_percentiles(samples, 0.99)
    assert joined.tolist() == segment_percentiles(samples.reshape(2, 75), 0.99).tolist()
