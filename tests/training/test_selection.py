import torch

from components.training.selection import (
    Score,
    best_score,
    held_out_size,
    hold_out,
    stratified_folds,
    within_one_standard_error,
)


def scores(*values: float) -> list[Score]:
    return [Score(value, 0.02) for value in values]


def test_shorter_training_is_kept_unless_longer_wins_by_more_than_noise() -> None:
    assert within_one_standard_error(scores(0.95, 0.96)) == 0
    assert within_one_standard_error(scores(0.92, 0.96)) == 1
    assert within_one_standard_error(scores(0.90, 0.96, 0.97)) == 1


def test_baseline_takes_its_best_length() -> None:
    assert best_score(scores(0.95, 0.96)) == 1
    assert best_score(scores(0.96, 0.96)) == 0


def test_held_out_rows_are_at_least_150_and_at_most_half() -> None:
    assert held_out_size(10_000, 0.1) == 1000
    assert held_out_size(1000, 0.1) == 150
    assert held_out_size(200, 0.1) == 100


def test_holding_out_is_a_partition_that_the_seed_decides() -> None:
    fitted, held = hold_out(1000, 0.2, torch.Generator().manual_seed(1))
    again, _ = hold_out(1000, 0.2, torch.Generator().manual_seed(1))
    other, _ = hold_out(1000, 0.2, torch.Generator().manual_seed(2))
    assert sorted([*fitted.tolist(), *held.tolist()]) == list(range(1000))
    assert torch.equal(fitted, again)
    assert not torch.equal(fitted, other)


def test_folds_spread_every_class_evenly() -> None:
    labels = torch.tensor([0] * 10 + [1] * 25 + [2] * 5)
    folds = stratified_folds(labels, 5, torch.Generator().manual_seed(0))
    assert sorted(torch.cat([held for _, held in folds]).tolist()) == list(range(40))
    for fitted, held in folds:
        assert torch.bincount(labels[held]).tolist() == [2, 5, 1]
        assert not set(fitted.tolist()) & set(held.tolist())
