import pytest
import torch

from components.training.selection import (
    Score,
    best_score,
    held_out_size,
    hold_out,
    some,
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
    splits = [folds.split(fold) for fold in range(folds.count)]
    assert torch.equal(sum(held.int() for _, held in splits), torch.ones(40, dtype=torch.int32))
    for fitted, held in splits:
        assert torch.bincount(labels[held]).tolist() == [2, 5, 1]
        assert torch.equal(fitted, ~held)


def test_many_rows_are_split_at_random_by_masks() -> None:
    rows = 1_200_000
    fitted, held = hold_out(rows, 0.15, torch.Generator().manual_seed(0))
    assert torch.equal(fitted, ~held)
    assert held.float().mean().item() == pytest.approx(0.15, abs=0.005)
    labels = torch.arange(rows) % 7
    folds = stratified_folds(labels, 5, torch.Generator().manual_seed(0))
    shares = [held.float().mean().item() for _, held in map(folds.split, range(folds.count))]
    assert shares == pytest.approx([0.2] * 5, abs=0.005)


def test_some_rows_are_the_first_ones_in_random_order_or_a_random_part_of_a_mask() -> None:
    order = torch.tensor([4, 1, 3])
    generator = torch.Generator().manual_seed(0)
    assert some(order, 2, generator).tolist() == [4, 1]
    assert some(order, 9, generator).tolist() == [4, 1, 3]
    mask = torch.arange(100_000) % 2 == 0
    assert torch.equal(some(mask, 50_000, generator), mask)
    few = some(mask, 5_000, generator)
    assert not (few & ~mask).any()
    assert int(few.sum()) == pytest.approx(5_000, rel=0.1)
    assert int(few[:50_000].sum()) == pytest.approx(2_500, rel=0.15)
    assert 0 < int(some(mask, 1, generator).sum()) < 400
