"""What is recommended: by values, and how often it is wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation.comparing.bounded import bounded_agreement, bounded_difference
from components.evaluation.comparing.judge import Judgement, judge
from components.evaluation.comparing.policy import Policy
from components.shared.results import Agreement, Estimate, LabelledComparison, PairedCounts

POLICY = Policy(margin=0.02, min_agreement=0.95, min_rows=100)
RUNS = 2000
ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)
"""Three binomial standard errors of the simulation above 5 %."""


def share(value: float) -> Estimate:
    return Estimate(value=value, centre=value, standard_error=0.0, lower=value, upper=value)


def agreement(agreeing: int, rows: int, policy: Policy = POLICY) -> Agreement:
    return bounded_agreement(share(agreeing / rows), rows, policy)


def labelled(only_challenger: int, only_champion: int, rows: int) -> LabelledComparison:
    both = rows - only_challenger - only_champion
    counts = PairedCounts(
        both=both, only_student=only_challenger, only_other=only_champion, neither=0
    )
    return bounded_difference(counts, "3", "2", POLICY)


@pytest.mark.parametrize(
    ("only_challenger", "only_champion", "recommendation"),
    [(20, 20, "supports"), (0, 60, "against"), (20, 40, "inconclusive"), (60, 0, "supports")],
)
def test_labels_judge_by_non_inferiority_at_the_margin(
    only_challenger: int, only_champion: int, recommendation: str
) -> None:
    found = judge(labelled(only_challenger, only_champion, 1000), agreement(10, 1000), 1000, POLICY)
    assert found == Judgement(recommendation, "labels")


@pytest.mark.parametrize(
    ("agreeing", "recommendation"), [(975, "supports"), (955, "inconclusive"), (900, "against")]
)
def test_without_labels_agreement_judges(agreeing: int, recommendation: str) -> None:
    found = judge(None, agreement(agreeing, 1000), 1000, POLICY)
    assert found == Judgement(recommendation, "agreement")


def test_few_labels_leave_the_judgement_to_agreement() -> None:
    assert judge(labelled(0, 60, 99), agreement(990, 1000), 1000, POLICY).judged_by == "agreement"
    assert judge(labelled(0, 60, 100), agreement(990, 1000), 1000, POLICY).judged_by == "labels"


def test_few_rows_settle_nothing() -> None:
    found = judge(labelled(0, 50, 99), agreement(99, 99), 99, POLICY)
    assert found == Judgement("inconclusive", "nothing")


@given(
    only_challenger=st.integers(0, 200), only_champion=st.integers(0, 200), more=st.integers(1, 50)
)
def test_a_row_more_that_only_the_challenger_has_right_never_turns_against_it(
    only_challenger: int, only_champion: int, more: int
) -> None:
    order = ["against", "inconclusive", "supports"]
    before, after = (
        judge(labelled(right, only_champion, 1000), agreement(9, 10), 1000, POLICY).recommendation
        for right in (only_challenger, only_challenger + more)
    )
    assert order.index(after) >= order.index(before)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_bound_that_is_no_number_supports_nothing_and_speaks_against_nothing(bound: float) -> None:
    nothing = Agreement(estimate=share(0.9), lower=math.nan, upper=bound)
    assert judge(None, nothing, 1000, POLICY).recommendation != "supports"
    nothing = Agreement(estimate=share(0.9), lower=bound, upper=math.nan)
    assert judge(None, nothing, 1000, POLICY).recommendation != "against"


def drawn_recommendations(difference: float, discordance: float, rows: int) -> list[str]:
    """Of challengers with a true difference in accuracy, each on labelled rows drawn anew."""
    generator = np.random.default_rng(11)
    only_challenger, only_champion = (discordance + difference) / 2, (discordance - difference) / 2
    tables = generator.multinomial(
        rows, [only_challenger, only_champion, 1 - discordance], size=RUNS
    )
    return [
        judge(labelled(int(mine), int(theirs), rows), agreement(9, 10), rows, POLICY).recommendation
        for mine, theirs, _ in tables
    ]


@pytest.mark.parametrize("discordance", [0.03, 0.1])
@pytest.mark.parametrize("rows", [300, 2000])
def test_challenger_worse_by_exactly_the_margin_is_supported_in_5_percent_at_most(
    discordance: float, rows: int
) -> None:
    """And spoken against in 5 % at most: it is what both mistakes have in common."""
    found = drawn_recommendations(-POLICY.margin, discordance, rows)
    assert found.count("supports") / RUNS <= ALLOWED
    assert found.count("against") / RUNS <= ALLOWED


def test_equal_challenger_is_supported_and_a_bad_one_spoken_against_where_rows_are_many() -> None:
    assert drawn_recommendations(0.0, 0.05, 3000).count("supports") / RUNS >= 0.9
    assert drawn_recommendations(-0.05, 0.08, 3000).count("against") / RUNS >= 0.9


@pytest.mark.parametrize("rows", [100, 1500])
def test_challenger_that_agrees_exactly_as_often_as_is_asked_is_supported_in_5_percent_at_most(
    rows: int,
) -> None:
    drawn = np.random.default_rng(5).binomial(rows, POLICY.min_agreement, size=RUNS)
    found = [judge(None, agreement(int(n), rows), rows, POLICY).recommendation for n in drawn]
    assert found.count("supports") / RUNS <= ALLOWED
    assert found.count("against") / RUNS <= ALLOWED
