"""Power: the formula against exact enumeration, and what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation.judging.power import (
    detectable_margin,
    expected_discordance,
    measured_power,
    power,
    rows_needed,
)
from components.shared.results import PairedCounts
from tests.evaluation.judging.exact_rates import pass_rate

CASES = [
    (discordance, margin, confidence)
    for discordance in (0.005, 0.02, 0.05, 0.1)
    for margin in (0.01, 0.02, 0.05)
    for confidence in (0.95, 0.9875)
]


@pytest.mark.parametrize(("discordance", "margin", "confidence"), CASES)
def test_equal_student_passes_at_least_80_times_of_100_with_the_rows_needed(
    discordance: float, margin: float, confidence: float
) -> None:
    rows = rows_needed(discordance, margin, confidence)
    assert rows is not None
    assert pass_rate(rows, discordance, 0, margin, confidence) >= 0.8


@pytest.mark.parametrize(("discordance", "margin", "confidence"), CASES)
def test_rows_needed_are_not_far_more_than_it_takes(
    discordance: float, margin: float, confidence: float
) -> None:
    """Leaving out 1 / margin rows for the correction, and another for counts being whole."""
    rows = rows_needed(discordance, margin, confidence)
    assert rows is not None
    fewer = int(0.9 * (rows - 2 / margin))
    assert fewer <= 0 or pass_rate(fewer, discordance, 0, margin, confidence) < 0.8


@pytest.mark.parametrize("rows", [500, 2000, 5000])
@pytest.mark.parametrize(("discordance", "margin"), [(0.05, 0.01), (0.1, 0.01), (0.1, 0.02)])
def test_power_is_close_to_the_exact_one_and_not_above_it(
    rows: int, discordance: float, margin: float
) -> None:
    exact = pass_rate(rows, discordance, 0, margin, 0.95)
    assert exact - 0.05 < power(rows, discordance, margin, 0.95) < exact + 0.005


def test_discordance_is_never_zero() -> None:
    same = PairedCounts(both=90, only_student=0, only_other=0, neither=8)
    assert expected_discordance(same) == 0.02
    found = measured_power(same, 0.01, 0.95)
    assert (found.rows, found.discordance, found.margin) == (98, 0.02, 0.01)
    assert not found.sufficient


discordances, levels = st.floats(0.001, 1), st.floats(0.8, 0.999)


@given(discordance=discordances, margin=st.floats(1e-4, 1), confidence=levels)
def test_rows_needed_are_the_first_that_reach_the_goal(
    discordance: float, margin: float, confidence: float
) -> None:
    rows = rows_needed(discordance, margin, confidence)
    assert rows is not None
    assert power(rows, discordance, margin, confidence) >= 0.8 - 1e-9
    assert rows == 1 or power(rows - 1, discordance, margin, confidence) < 0.8


@given(rows=st.integers(1, 10**6), discordance=discordances, confidence=levels)
def test_detectable_margin_is_where_power_reaches_the_goal(
    rows: int, discordance: float, confidence: float
) -> None:
    margin = detectable_margin(rows, discordance, confidence)
    assert power(rows, discordance, margin * (1 - 1e-9), confidence) < 0.8
    assert margin == 1 or power(rows, discordance, margin, confidence) >= 0.8


@pytest.mark.parametrize("margin", [0.0, 5e-324, 1e-200, 1e-9])
def test_margin_of_nothing_needs_more_rows_than_there_are(margin: float) -> None:
    assert rows_needed(0.05, margin, 0.95) is None
    counts = PairedCounts(both=900, only_student=30, only_other=20, neither=50)
    found = measured_power(counts, margin, 0.95)
    assert found.power < 0.06
    assert not found.sufficient
