"""How ``method: auto`` spends its budget, and what it keeps; the scores are made up here."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.shared.recipe.training import StudentTrainingSpec
from components.training.choices import Choice, lengths, searched
from components.training.searching import Plan, better, default_budget, plan_within, search
from components.training.selection import Score, hold_out, parts_held_out

METHODS = searched(10, 0)


def judged_by(score: Callable[[Choice], float]) -> Callable[[Choice], Score]:
    return lambda choice: Score(score(choice), 0.01)


def test_two_classes_are_searched_without_correlations() -> None:
    kinds = [choice.objectives[0].kind for choice in searched(2, 100)]
    assert kinds == ["kd", "kd", "pseudo_label"]
    assert [choice.objectives[0].kind for choice in searched(3, 100)] == ["dist", *kinds]


def test_lengths_follow_the_rows_unless_the_recipe_has_them() -> None:
    training = StudentTrainingSpec(batch_size=100)
    assert lengths(training, 1000) == [1600, 6400]
    assert lengths(training, 1000, of=4001) == [400, 1600]
    assert lengths(training, 1000, of=4000) == [400, 1600, 6400]
    assert lengths(training, 20_000) == [5000, 20_000]
    assert lengths(training, 200_000) == [10_000, 40_000]
    assert lengths(training, 2_000_000)[0] == 20_000
    assert lengths(training, 7)[0] == 1600
    assert lengths(StudentTrainingSpec(steps=[800, 100]), 1000) == [100, 800]


def test_few_go_on_and_the_best_is_trained_longest() -> None:
    plan = Plan(methods=4, lengths=(100, 400), folds=1)
    last = METHODS[3]
    found = search(
        plan, METHODS, judged_by(lambda c: 0.9 if c.objectives == last.objectives else 0.5)
    )
    assert [choice.steps for choice in found.tried] == [25] * 4 + [100] * 2 + [400]
    assert found.tried[found.chosen].objectives == last.objectives


def test_longer_training_has_to_win_by_more_than_one_standard_error() -> None:
    plan = Plan(methods=1, lengths=(100, 400), folds=1)
    for gain, steps in ((0.005, 100), (0.02, 400)):
        found = search(plan, METHODS, judged_by(lambda c, g=gain: 0.9 + g * (c.steps == 400)))
        assert found.tried[found.chosen].steps == steps


def test_the_short_training_is_kept_where_more_of_it_does_harm() -> None:
    plan = Plan(methods=2, lengths=(100, 400), folds=1)
    for loss, steps in ((0.005, 100), (0.05, 25)):
        found = search(plan, METHODS, judged_by(lambda c, g=loss: 0.9 - g * (c.steps > 25)))
        assert found.tried[found.chosen].steps == steps


def test_the_preferred_one_is_taken_where_scores_cannot_tell() -> None:
    plan = Plan(methods=4, lengths=(100,), folds=1)
    found = search(plan, METHODS, judged_by(lambda c: 0.905 if c.temperature == 1 else 0.9))
    assert found.tried[found.chosen].objectives == METHODS[0].objectives
    clear = search(plan, METHODS, judged_by(lambda c: 0.95 if c.temperature == 1 else 0.9))
    assert clear.tried[clear.chosen].temperature == 1


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).flatmap(
        lambda values: st.tuples(st.just(values), st.integers(1, len(values)))
    )
)
def test_the_better_half_holds_best_or_preferred(given_: tuple[list[float], int]) -> None:
    values, keep = given_
    kept = better([Score(value, 0.02) for value in values], keep)
    assert len(kept) == keep
    assert kept == sorted(set(kept))
    assert max(values[place] for place in kept) >= max(values) - 0.02


@given(
    budget=st.integers(1, 200_000),
    methods=st.integers(1, 6),
    steps=st.lists(st.integers(1, 20_000), min_size=1, max_size=3, unique=True).map(sorted),
    folds=st.integers(1, 5),
)
def test_a_search_stays_within_its_budget(
    budget: int, methods: int, steps: list[int], folds: int
) -> None:
    plan = plan_within(budget, methods, steps, folds)
    alone = plan.methods == 1 and len(plan.lengths) == 1
    assert alone or plan.steps <= budget
    spent = 0

    def judge(choice: Choice) -> Score:
        nonlocal spent
        spent += plan.folds * choice.steps
        return Score(0.5, 0.1)

    search(plan, [Choice(0, weight=number) for number in range(methods)], judge)
    assert spent == plan.steps


def test_folds_are_given_up_first_then_lengths_then_methods() -> None:
    whole = Plan(4, (1600, 6400), 2)
    assert plan_within(whole.steps, 4, [1600, 6400], 2) == whole
    assert plan_within(whole.steps - 1, 4, [1600, 6400], 2) == Plan(4, (1600, 6400), 1)
    assert plan_within(11_000, 4, [1600, 6400], 2) == Plan(4, (1600,), 1)
    assert plan_within(3000, 4, [1600, 6400], 2) == Plan(2, (1600,), 1)
    assert plan_within(10, 4, [1600, 6400], 2) == Plan(1, (1600,), 1)


def test_default_budget_leaves_room_for_every_length_however_many_rows_there_are() -> None:
    for rows in (1000, 12_000, 1_000_000):
        steps = lengths(StudentTrainingSpec(), rows)
        plan = plan_within(default_budget(4, steps), 4, steps, 1)
        assert plan == Plan(4, tuple(steps), 1)
    assert default_budget(4, [1600, 6400]) == 30_000


def test_rows_are_held_out_however_small_their_share_is() -> None:
    _, held_out = hold_out(1_000_001, 0.001, torch.Generator().manual_seed(0))
    assert 3000 < int(held_out.sum()) < 5000


def test_every_split_holds_out_other_rows() -> None:
    splits = parts_held_out(1000, 0.15, 3, torch.Generator().manual_seed(0))
    held = [row for _, held_out in splits for row in held_out.tolist()]
    assert len(held) == len(set(held)) == 450
    for fitted, held_out in splits:
        assert sorted([*fitted.tolist(), *held_out.tolist()]) == list(range(1000))
    assert len(parts_held_out(300, 0.5, 5, torch.Generator().manual_seed(0))) == 2


def test_first_split_is_that_of_one_hold_out() -> None:
    fitted, held_out = hold_out(1000, 0.15, torch.Generator().manual_seed(3))
    first_fitted, first_held = parts_held_out(1000, 0.15, 2, torch.Generator().manual_seed(3))[0]
    assert first_held.tolist() == held_out.tolist()
    assert sorted(first_fitted.tolist()) == sorted(fitted.tolist())


@pytest.mark.parametrize("methods", [1, 2, 3, 4])
def test_half_goes_on_at_least_one(methods: int) -> None:
    assert Plan(methods, (100,), 1).survivors == (methods + 1) // 2
