"""Bounds against independent implementations, published values and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.evaluation.bounds import (
    difference_lower_bound,
    quantile,
    quantile_upper_bound,
    ratio_lower_bound,
    wilson_interval,
    wilson_lower_bound,
)
from components.shared.results import PairedCounts


def counts(both: int, only_student: int, only_other: int, neither: int) -> PairedCounts:
    return PairedCounts(
        both=both, only_student=only_student, only_other=only_other, neither=neither
    )


@pytest.mark.parametrize(("right", "rows"), [(0, 10), (10, 10), (1, 1), (742, 797), (99, 300)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_scipy(right: int, rows: int, confidence: float) -> None:
    expected = stats.binomtest(right, rows).proportion_ci(confidence, method="wilson")
    found = wilson_interval(right / rows, rows, confidence)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    one_sided = stats.binomtest(right, rows, alternative="greater")
    expected_bound = one_sided.proportion_ci(confidence, method="wilson").low
    assert wilson_lower_bound(right / rows, rows, confidence) == pytest.approx(
        expected_bound, abs=1e-12
    )


def test_difference_bound_agrees_with_a_published_example() -> None:
    """Cavo et al. 2012 in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency
    Tables, chapter 8: the two-sided 95 % Bonett-Price interval is -0.1195 to -0.0032."""
    table = counts(59, 6, 16, 80)
    swapped = counts(59, 16, 6, 80)
    assert difference_lower_bound(table, 0.975) == pytest.approx(-0.1195, abs=5e-5)
    assert -difference_lower_bound(swapped, 0.975) == pytest.approx(-0.0032, abs=5e-5)


def test_ratio_bound_is_just_below_the_plain_wald_bound() -> None:
    table = counts(59, 6, 16, 80)
    plain = 65 / 75 * math.exp(-stats.norm.ppf(0.95) * math.sqrt(22 / (65 * 75)))
    bound = ratio_lower_bound(table, 0.95)
    assert bound is not None
    assert plain - 0.005 < bound < plain


def test_models_that_never_disagree_are_not_surely_equal() -> None:
    same = counts(90, 0, 0, 10)
    ratio = ratio_lower_bound(same, 0.95)
    assert ratio is not None
    assert 0.95 < ratio < 1
    assert -0.05 < difference_lower_bound(same, 0.95) < 0


def test_ratio_bound_where_a_model_is_never_right() -> None:
    assert ratio_lower_bound(counts(0, 0, 7, 3), 0.95) == 0
    assert ratio_lower_bound(counts(0, 7, 0, 3), 0.95) is None


@pytest.mark.parametrize("rows", [200, 797])
@pytest.mark.parametrize(
    ("both", "only_student", "only_other"),
    [(0.90, 0.02, 0.04), (0.70, 0.10, 0.10), (0.85, 0.05, 0.01), (0.50, 0.05, 0.20)],
)
def test_paired_bounds_hold_as_often_as_they_say(
    rows: int, both: float, only_student: float, only_other: float
) -> None:
    generator = np.random.default_rng(rows)
    shares = [both, only_student, only_other, 1 - both - only_student - only_other]
    tables = [counts(*map(int, table)) for table in generator.multinomial(rows, shares, size=2000)]
    difference = only_student - only_other
    ratio = (both + only_student) / (both + only_other)
    held = [difference_lower_bound(table, 0.95) <= difference for table in tables]
    assert 0.93 < np.mean(held) < 0.99
    held = [(ratio_lower_bound(table, 0.95) or 0) <= ratio for table in tables]
    assert 0.93 < np.mean(held) < 0.99


@given(
    table=st.tuples(*[st.integers(0, 400)] * 4).filter(any),
    confidence=st.floats(0.55, 0.95),
)
def test_paired_bounds_rise_when_the_student_gets_one_more_row_right(
    table: tuple[int, int, int, int], confidence: float
) -> None:
    both, only_student, only_other, neither = table
    better = []
    if neither:
        better.append(counts(both, only_student + 1, only_other, neither - 1))
    if only_other:
        better.append(counts(both + 1, only_student, only_other - 1, neither))
    before = counts(*table)
    for after in better:
        assert difference_lower_bound(after, confidence) >= difference_lower_bound(
            before, confidence
        )
        low, high = ratio_lower_bound(before, confidence), ratio_lower_bound(after, confidence)
        assert low is None or (high is not None and high >= low)


@pytest.mark.parametrize("size", [1, 58, 59, 100, 298, 299, 3000, 20_000])
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_quantile_bound_is_the_first_order_statistic_that_is_sure_enough(
    size: int, share: float, confidence: float
) -> None:
    bound = quantile_upper_bound(range(size), share, confidence)
    certainty = stats.binom.cdf(np.arange(size), size, share)
    expected = int(np.argmax(certainty >= confidence)) if certainty[-1] >= confidence else math.inf
    assert bound == expected


def test_quantile_bound_holds_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    truth = stats.lognorm.ppf(0.95, s=1)
    samples = np.sort(generator.lognormal(size=(2000, 300)), axis=1)
    held = [quantile_upper_bound(sample, 0.95, 0.95) >= truth for sample in samples]
    assert 0.945 < np.mean(held) < 0.98


@given(
    sample=st.lists(st.floats(0, 1e6), min_size=1, max_size=400).map(sorted),
    share=st.sampled_from([0.5, 0.95, 0.99]),
)
def test_quantile_is_an_element_and_never_above_its_bound(
    sample: list[float], share: float
) -> None:
    value = quantile(sample, share)
    assert value == np.quantile(sample, share, method="inverted_cdf")
    assert value <= quantile_upper_bound(sample, share, 0.95)
