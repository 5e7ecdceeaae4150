"""The sums of a comparison: the same as in one shot over all rows, whatever the batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from components.evaluation.comparing.classes import class_shifts, disagreements
from components.evaluation.comparing.tallies import (
    MOST_DIFFERENT,
    ComparisonTally,
    compare_batch,
)
from components.evaluation.measuring.estimates import estimates
from components.evaluation.measuring.metrics import Predictions

CLASSES = ["ant", "bee", "cat", "dog"]
ROWS = 500
_GENERATOR = np.random.default_rng(2)
CHAMPION = _GENERATOR.dirichlet([0.4] * 4, ROWS).astype(np.float32)
CHALLENGER = (0.7 * CHAMPION + 0.3 * _GENERATOR.dirichlet([0.4] * 4, ROWS)).astype(np.float32)
LABELS = np.where(_GENERATOR.random(ROWS) < 0.4, _GENERATOR.integers(0, 4, ROWS), -1)
IDS = [f"r{row}" for row in range(ROWS)]


def tally(batch_rows: int) -> ComparisonTally:
    result = ComparisonTally(len(CLASSES))
    for start in range(0, ROWS, batch_rows):
        part = slice(start, start + batch_rows)
        champion, challenger = Predictions.of(CHAMPION[part]), Predictions.of(CHALLENGER[part])
        result.update(IDS[part], compare_batch(champion, challenger, LABELS[part]))
    return result


@settings(max_examples=20)
@given(st.integers(1, ROWS + 5))
def test_sums_equal_one_shot_over_all_rows(batch_rows: int) -> None:
    found = tally(batch_rows)
    ours, theirs = CHALLENGER.argmax(axis=1), CHAMPION.argmax(axis=1)
    sums = found.against.sums(0)
    assert (found.rows, sums.right) == (ROWS, int((ours == theirs).sum()))
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (theirs, ours), 1)
    assert (sums.detail.confusion == expected).all()
    distances = np.abs(CHAMPION.astype(float) - CHALLENGER).sum(axis=1) / 2
    assert found.total_variation == pytest.approx(distances.mean(), abs=1e-6)
    assert found.champion_confidence == pytest.approx(CHAMPION.max(axis=1).mean(), abs=1e-6)
    assert found.challenger_confidence == pytest.approx(CHALLENGER.max(axis=1).mean(), abs=1e-6)
    divergence = rel_entr(CHAMPION.astype(float), np.maximum(CHALLENGER, 1.2e-7)).sum(axis=1)
    assert estimates(sums, 0.95)["kl_to_teacher"].value == pytest.approx(
        divergence.mean(), abs=1e-4
    )


def test_only_labelled_rows_say_who_is_right() -> None:
    known = LABELS >= 0
    right, other = (p.argmax(axis=1)[known] == LABELS[known] for p in (CHALLENGER, CHAMPION))
    counts = tally(64).pair.counts
    assert counts.rows == known.sum()
    assert counts.only_student == (right & ~other).sum()
    assert counts.only_other == (other & ~right).sum()


def test_rows_that_differ_most_come_first_and_are_named_by_id() -> None:
    distances = np.abs(CHAMPION.astype(float) - CHALLENGER).sum(axis=1) / 2
    largest = np.argsort(-distances, kind="stable")[:MOST_DIFFERENT]
    for batch_rows in (7, ROWS):
        found = tally(batch_rows).most_different
        assert [row.id for row in found] == [IDS[place] for place in largest]
        assert found[0].total_variation == pytest.approx(distances.max(), abs=1e-6)


def test_rows_without_a_difference_are_not_named() -> None:
    result = ComparisonTally(len(CLASSES))
    same = Predictions.of(CHAMPION)
    result.update(IDS, compare_batch(same, same, LABELS))
    assert (result.most_different, result.total_variation) == ([], 0.0)


def test_disagreements_are_the_largest_pairs_with_who_is_right() -> None:
    found = tally(100)
    confusion = found.against.sums(0).detail.confusion
    pairs = disagreements(found, confusion, CLASSES)
    rows = [pair.rows for pair in pairs]
    assert rows == sorted(rows, reverse=True)
    assert sum(rows) == confusion.sum() - np.trace(confusion)
    first = pairs[0]
    ours, theirs = CHALLENGER.argmax(axis=1), CHAMPION.argmax(axis=1)
    cell = (theirs == CLASSES.index(first.champion)) & (ours == CLASSES.index(first.challenger))
    assert first.rows == cell.sum()
    assert first.labelled == (cell & (LABELS >= 0)).sum()
    assert first.champion_right == (cell & (theirs == LABELS)).sum()
    assert first.challenger_right == (cell & (ours == LABELS)).sum()


def test_class_shift_is_marked_only_beyond_chance() -> None:
    confusion = np.array([[400, 40, 0], [0, 300, 9], [0, 12, 239]])
    shifts = {shift.name: shift for shift in class_shifts(confusion, ["a", "b", "c"], 0.95)}
    assert (shifts["a"].champion, shifts["a"].challenger) == (440, 400)
    assert shifts["a"].beyond_chance
    assert not shifts["c"].beyond_chance
    assert shifts["c"].p_value == pytest.approx(0.6636, abs=1e-4)
