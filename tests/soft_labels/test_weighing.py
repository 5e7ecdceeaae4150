"""What each of several teachers is worth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.errors import UserError
from components.shared.held_out import HeldOut
from components.soft_labels.weighing import Judged, by_confidence, by_quality

GOLDEN = json.loads((Path(__file__).parent / "golden" / "combining.json").read_text())
CLASSES = 6


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_confidence_is_that_of_the_reference(case: dict[str, Any]) -> None:
    found = by_confidence(
        [np.asarray(one) for one in case["logits"]],
        [np.asarray(there) for there in case["known"]],
        np.asarray(case["labels"]),
        case["given"],
        CLASSES,
    )
    np.testing.assert_allclose(found, case["confidence"], rtol=1e-9, atol=1e-12)


@given(st.integers(0, 2**32), st.integers(2, 5), st.sampled_from([0.0, 1.0, 1e4]), st.booleans())
@settings(max_examples=25)
def test_weights_of_a_row_are_of_1_together_whatever_the_order_of_teachers(
    seed: int, count: int, scale: float, labelled: bool
) -> None:
    rng = np.random.default_rng(seed)
    known = [np.arange(CLASSES), *(np.sort(rng.permutation(CLASSES)[:3]) for _ in range(count - 1))]
    logits = [rng.choice([-1.0, 0.5, 1.0], size=(8, len(there))) * scale for there in known]
    labels = rng.integers(0, CLASSES, 8) if labelled else np.full(8, -1)
    given_weights = rng.uniform(0.1, 1, count)
    found = by_confidence(logits, known, labels, given_weights.tolist(), CLASSES)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-9)
    order = rng.permutation(count)
    turned = by_confidence(
        [logits[number] for number in order],
        [known[number] for number in order],
        labels,
        given_weights[order].tolist(),
        CLASSES,
    )
    np.testing.assert_allclose(turned, found[:, order], rtol=1e-6, atol=1e-12)


def test_equal_teachers_have_the_weights_of_the_recipe() -> None:
    logits = np.random.default_rng(0).normal(size=(5, CLASSES))
    found = by_confidence(
        [logits] * 3, [np.arange(CLASSES)] * 3, np.asarray([-1, 0, -1, 2, 3]), [0.5, 0.3, 0.2], 6
    )
    np.testing.assert_allclose(found, np.broadcast_to([0.5, 0.3, 0.2], (5, 3)), rtol=1e-9)


def test_the_surer_teacher_of_a_row_weighs_more_and_the_one_that_is_wrong_less() -> None:
    sure, torn = np.asarray([[4.0, 0, 0, 0, 0, 0]]), np.asarray([[1.0, 0.9, 0, 0, 0, 0]])
    known = [np.arange(CLASSES)] * 2
    unlabelled = by_confidence([sure, torn], known, np.asarray([-1]), [0.5, 0.5], CLASSES)
    assert unlabelled[0, 0] > 0.6
    wrong = by_confidence([sure, torn], known, np.asarray([1]), [0.5, 0.5], CLASSES)
    assert wrong[0, 0] < 0.2


def test_quality_is_log_odds_above_a_guess() -> None:
    judged = [Judged(20, 19, 10), Judged(20, 15, 10), Judged(10, 9, 5)]
    accuracy = np.asarray([19.1 / 21, 15.1 / 21, 9.2 / 11])
    odds = np.log(np.asarray([9, 9, 4]) * accuracy / (1 - accuracy))
    np.testing.assert_allclose(by_quality(judged, [1 / 3] * 3), odds / odds.sum(), atol=1e-6)
    twice = odds * [2, 1, 1]
    np.testing.assert_allclose(
        by_quality(judged, [0.5, 0.25, 0.25]), twice / twice.sum(), atol=1e-6
    )


@pytest.mark.parametrize(("right", "rows"), [(2, 20), (0, 20)])
def test_a_teacher_that_is_not_better_than_a_guess_is_named(right: int, rows: int) -> None:
    with pytest.raises(UserError, match=rf"members\[1\] is right in {right} of {rows} rows"):
        by_quality([Judged(20, 19, 10), Judged(rows, right, 10)], [0.5, 0.5])


def test_a_teacher_that_no_row_judges_is_not_called_bad() -> None:
    with pytest.raises(UserError, match=r"^there are no rows to judge teacher\.members\[1\] by"):
        by_quality([Judged(20, 19, 10), Judged(0, 0, 10)], [0.5, 0.5])


@given(st.lists(st.integers(-1, 3), max_size=60), st.sampled_from([0.05, 0.2, 0.5, 1.0]), st.data())
@settings(max_examples=25)
def test_the_same_rows_are_held_out_however_the_data_are_read(
    labels: list[int], share: float, data: st.DataObject
) -> None:
    known: npt.NDArray[np.int64] = np.asarray(labels, np.int64)
    whole = HeldOut(share).of(known)
    cut = data.draw(st.integers(0, len(labels)))
    parts = HeldOut(share)
    assert [*parts.of(known[:cut]), *parts.of(known[cut:])] == whole.tolist()
    assert not whole[known == -1].any()
    for label in range(4):
        of_class = whole[known == label]
        assert of_class.sum() == int(len(of_class) * share + 1e-9)
        assert share == 1 or not of_class[:1].any(), "the first row of a class stays"
