"""Bounds against independent implementations, published values and exact enumeration."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import optimize, stats

from components.evaluation.bounds import (
    difference_lower_bound,
    mcnemar,
    ratio_lower_bound,
    wilson_interval,
)
from components.shared.results import PairedCounts
from tests.evaluation.judging.exact_rates import pass_rate


def counts(both: int, only_student: int, only_other: int, neither: int) -> PairedCounts:
    return PairedCounts(
        both=both, only_student=only_student, only_other=only_other, neither=neither
    )


CAVO = counts(59, 6, 16, 80)
"""Cavo et al. 2012, an example of Fagerland, Lydersen and Laake, Statistical Analysis of
Contingency Tables, chapter 8; published values are those of their R package contingencytables."""
CAVO_SWAPPED = counts(59, 16, 6, 80)


@pytest.mark.parametrize(("right", "rows"), [(0, 10), (10, 10), (1, 1), (742, 797), (99, 300)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_scipy(right: int, rows: int, confidence: float) -> None:
    expected = stats.binomtest(right, rows).proportion_ci(confidence, method="wilson")
    found = wilson_interval(right / rows, rows, confidence)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_correction_the_difference_bound_is_the_published_tango_interval() -> None:
    lower = difference_lower_bound(CAVO, 0.975, continuity=0)
    upper = -difference_lower_bound(CAVO_SWAPPED, 0.975, continuity=0)
    assert (lower, upper) == pytest.approx((-0.1240, -0.0054), abs=5e-5)


def test_without_correction_the_ratio_bound_is_the_published_tang_interval() -> None:
    lower = ratio_lower_bound(CAVO, 0.975, continuity=0)
    upper = ratio_lower_bound(CAVO_SWAPPED, 0.975, continuity=0)
    assert lower is not None
    assert upper is not None
    assert (lower, 1 / upper) == pytest.approx((0.7476, 0.9876), abs=5e-5)


@pytest.mark.parametrize(
    "table", [CAVO, counts(90, 0, 3, 7), counts(50, 5, 0, 45), counts(900, 12, 20, 68)]
)
def test_bounds_solve_the_score_test_with_its_nuisance_fitted_by_a_general_optimiser(
    table: PairedCounts,
) -> None:
    """The closed forms of the restricted estimates, against maximising the likelihood."""
    z = stats.norm.ppf(0.95)
    difference, ratio = difference_lower_bound(table, 0.95), ratio_lower_bound(table, 0.95)
    assert ratio is not None
    only_other = fitted(table, lambda q: q + difference, max(0, -difference), (1 - difference) / 2)
    variance = 2 * only_other + difference - difference**2
    observed = table.only_student - table.only_other - 0.5
    assert observed - table.rows * difference == pytest.approx(
        z * math.sqrt(table.rows * variance), rel=1e-4
    )
    some = (table.both + table.only_student + table.only_other) / table.rows
    only_other = fitted(
        table,
        lambda q: (some * (ratio - 1) + q) / ratio,
        max(0, some * (1 - ratio)),
        some / 2,
        some,
    )
    variance = ratio * (only_other + (some * (ratio - 1) + only_other) / ratio)
    student, other = table.both + table.only_student, table.both + table.only_other
    assert student - ratio * other - 0.5 == pytest.approx(
        z * math.sqrt(table.rows * variance), rel=1e-4
    )


def fitted(
    table: PairedCounts,
    student_of: Callable[[float], float],
    low: float,
    high: float,
    some: float = 0,
) -> float:
    """The most likely share of rows on which only the other is right, between two limits.

    Args:
        student_of: the share on which only the student is right, given that one.
        some: share on which either is right, where the hypothesis leaves it free; else 0.
    """

    def surprise(only_other: float) -> float:
        only_student = student_of(only_other)
        terms = [(table.only_other, only_other), (table.only_student, only_student)]
        if some:
            terms.append((table.both, some - only_other - only_student))
        else:
            terms.append((table.both + table.neither, 1 - only_other - only_student))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in terms if count)

    found = optimize.minimize_scalar(
        surprise, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return min((low, float(found.x), high), key=surprise)


def test_models_that_never_disagree_are_not_surely_equal() -> None:
    same = counts(90, 0, 0, 10)
    ratio = ratio_lower_bound(same, 0.95)
    assert ratio is not None
    assert 0.95 < ratio < 1
    assert -0.05 < difference_lower_bound(same, 0.95) < 0


def test_bounds_of_models_that_are_never_or_always_right() -> None:
    assert ratio_lower_bound(counts(0, 0, 7, 3), 0.95) == 0
    assert ratio_lower_bound(counts(0, 7, 0, 3), 0.95) is None
    assert difference_lower_bound(counts(0, 0, 10, 0), 0.95) == -1
    assert 0.4 < difference_lower_bound(counts(0, 10, 0, 0), 0.95) < 1


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
@pytest.mark.parametrize(
    ("discordance", "margin"),
    [
        (discordance, margin)
        for margin in (0.005, 0.01, 0.02, 0.03)
        for discordance in (0.01, 0.02, 0.05, 0.1, 0.2)
        if discordance >= margin
    ],
)
def test_student_that_is_worse_by_the_margin_passes_no_more_often_than_the_level_says(
    discordance: float, margin: float, confidence: float
) -> None:
    """By exact enumeration: no simulation, no tolerance."""
    for rows in (100, 250, 797, 2000):
        assert pass_rate(rows, discordance, -margin, margin, confidence) <= 1 - confidence


@pytest.mark.parametrize("rows", [100, 797])
@pytest.mark.parametrize("only_student", [0.0, 0.01, 0.04])
@pytest.mark.parametrize(("accuracy", "ratio"), [(0.95, 0.98), (0.9, 0.95), (0.8, 0.9)])
def test_ratio_bound_holds_as_often_as_it_says(
    rows: int, only_student: float, accuracy: float, ratio: float
) -> None:
    """5 % nominal, and three binomial errors of 2,000 samples."""
    only_other = accuracy * (1 - ratio) + only_student
    shares = [accuracy - only_other, only_student, only_other, 1 - accuracy - only_student]
    samples = np.random.default_rng(rows).multinomial(rows, shares, size=2000)
    bounds = [ratio_lower_bound(counts(*map(int, sample)), 0.95) or 0 for sample in samples]
    assert np.mean(np.array(bounds) >= ratio) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


tables = st.tuples(*[st.integers(0, 400)] * 4).filter(any)


@given(table=tables, confidence=st.floats(0.55, 0.9999))
@example(table=(0, 0, 1, 0), confidence=0.9999)
@example(table=(100, 0, 0, 0), confidence=0.999)
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
        low, high = (difference_lower_bound(one, confidence) for one in (before, after))
        assert high >= low - 1e-12
        low, high = ratio_lower_bound(before, confidence), ratio_lower_bound(after, confidence)
        assert low is None or (high is not None and high >= low - 1e-12)


@given(table=tables, confidence=st.floats(0.55, 0.99))
def test_paired_bounds_lie_below_what_was_observed(
    table: tuple[int, int, int, int], confidence: float
) -> None:
    both, only_student, only_other, _ = table
    assume(both + only_other)
    found = counts(*table)
    assert difference_lower_bound(found, confidence) >= -1
    assert difference_lower_bound(found, confidence) <= (only_student - only_other) / found.rows
    ratio = ratio_lower_bound(found, confidence)
    assert ratio is not None
    assert 0 <= ratio <= (both + only_student) / (both + only_other) + 1e-12


def test_mcnemar_agrees_with_a_published_example_and_with_scipy() -> None:
    assert mcnemar(CAVO) == pytest.approx(0.052479, abs=5e-7)
    for student, other in ((0, 0), (0, 1), (0, 5), (7, 7), (3, 40), (1000, 1100)):
        both = student + other
        expected = stats.binomtest(student, both).pvalue if both else 1.0
        assert mcnemar(counts(5, student, other, 5)) == pytest.approx(expected, rel=1e-9)
        assert mcnemar(counts(5, other, student, 5)) == pytest.approx(expected, rel=1e-9)
