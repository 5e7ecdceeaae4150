"""Probabilities of all classes from teachers of which each knows some."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from components.soft_labels.mixing import mixture

Array = npt.NDArray[np.float64]

GOLDEN = json.loads((Path(__file__).parent / "golden" / "combining.json").read_text())
CLASSES = 6
seeds = st.integers(0, 2**32)
KNOWN = st.lists(
    st.lists(st.integers(0, CLASSES - 1), min_size=2, max_size=CLASSES, unique=True),
    min_size=1,
    max_size=4,
).map(lambda known: [np.asarray(there) for there in known])


def unify(logits: list[Array], known: list[Any], weights: Array) -> Array:
    rows = len(logits[0])
    return mixture(logits, known, np.broadcast_to(weights, (rows, len(known))), CLASSES)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_probabilities_are_those_of_the_reference(case: dict[str, Any]) -> None:
    found = unify(
        [np.asarray(one) for one in case["logits"]],
        [np.asarray(there) for there in case["known"]],
        np.asarray(case["given"]),
    )
    np.testing.assert_allclose(np.exp(found), case["mixture"], rtol=1e-9, atol=1e-12)


@given(seeds, st.integers(1, 4))
@settings(max_examples=20)
def test_teachers_that_know_all_are_averaged(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    logits = list(rng.normal(size=(count, 3, CLASSES)) * 5)
    weights = rng.uniform(0.1, 1, count)
    found = np.exp(unify(logits, [np.arange(CLASSES)] * count, weights))
    expected = np.tensordot(weights / weights.sum(), softmax(logits, -1), 1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(seeds, KNOWN, st.sampled_from([0.1, 2.0, 8.0]))
@settings(max_examples=25)
def test_no_other_probabilities_fit_what_the_teachers_say_better(
    seed: int, known: list[npt.NDArray[np.int64]], scale: float
) -> None:
    """The gradient of the weighted cross-entropies is zero at the solution: every class gets back
    what the teachers give it."""
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(2, len(there))) * scale for there in known]
    weights = rng.uniform(0.1, 1, len(known))
    found = unify(logits, known, weights)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-9)
    left_over = np.zeros((2, CLASSES))
    for one, there, weight in zip(logits, known, weights, strict=True):
        left_over[:, there] += weight * (softmax(one, 1) - softmax(found[:, there], 1))
    # Where a teacher gives a group of classes less than 2**-23, it is raised to that.
    np.testing.assert_allclose(left_over, 0, atol=1e-5)


@given(seeds, KNOWN)
@settings(max_examples=20)
def test_the_order_of_teachers_and_equal_teachers_weights_do_not_matter(
    seed: int, known: list[npt.NDArray[np.int64]]
) -> None:
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(2, len(there))) * 3 for there in known]
    weights = rng.uniform(0.1, 1, len(known))
    found = unify(logits, known, weights)
    order = rng.permutation(len(known))
    turned = unify([logits[n] for n in order], [known[n] for n in order], weights[order])
    np.testing.assert_allclose(np.exp(turned), np.exp(found), rtol=1e-6, atol=1e-12)
    twice = [*logits, logits[0]], [*known, known[0]]
    split = np.append(weights, 0.3 * weights[0])
    split[0] *= 0.7
    np.testing.assert_allclose(np.exp(unify(*twice, split)), np.exp(found), rtol=1e-6, atol=1e-12)


@given(seeds, st.permutations(range(CLASSES)), st.sampled_from([0.5, 3.0]))
@settings(max_examples=20)
def test_parts_of_one_distribution_give_it_back(seed: int, order: list[int], scale: float) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(3, CLASSES)) * scale
    known = [np.asarray(order[:3]), np.asarray(order[2:5]), np.asarray([order[0], order[5]])]
    logits = [whole[:, there] + rng.normal() for there in known]  # softmax forgets a constant
    found = np.exp(unify(logits, known, rng.uniform(0.1, 1, 3)))
    np.testing.assert_allclose(found, softmax(whole, 1), rtol=1e-4)


@given(seeds, KNOWN)
@settings(max_examples=20)
def test_extreme_logits_give_finite_probabilities(
    seed: int, known: list[npt.NDArray[np.int64]]
) -> None:
    rng = np.random.default_rng(seed)
    logits = [rng.choice([-1e4, 0, 1e4], size=(4, len(there))) for there in known]
    weights = rng.choice([1e-9, 1.0], size=(4, len(known)))
    found = mixture(logits, known, weights, CLASSES)
    heard = np.unique(np.concatenate(known))
    assert not np.isnan(found).any()
    np.testing.assert_allclose(np.exp(found[:, heard]).sum(axis=1), 1, rtol=1e-6)


def test_of_teachers_that_share_no_class_the_decided_one_is_followed() -> None:
    known = [np.asarray([0, 1, 2]), np.asarray([3, 4, 5])]
    decided, torn = np.asarray([[8.0, 0.0, 0.0]]), np.asarray([[0.2, 0.0, 0.1]])
    found = np.exp(unify([decided, torn], known, np.ones(2)))[0]
    assert found.argmax() == 0
    np.testing.assert_allclose(found[:3] / found[:3].sum(), softmax(decided[0]), rtol=1e-9)
    np.testing.assert_allclose(found[3:] / found[3:].sum(), softmax(torn[0]), rtol=1e-9)


def test_a_teacher_without_weight_is_not_heard_and_its_own_classes_have_no_probability() -> None:
    known = [np.asarray([0, 1, 2]), np.asarray([2, 3, 4, 5])]
    logits = [np.asarray([[1.0, 2.0, 3.0]] * 2), np.asarray([[1.0, 0.0, 2.0, 1.0]] * 2)]
    found = mixture(logits, known, np.asarray([[1.0, 0.0], [0.5, 0.5]]), CLASSES)
    np.testing.assert_allclose(np.exp(found[0]), [*softmax([1, 2, 3]), 0, 0, 0], rtol=1e-9)
    assert np.isfinite(found[1]).all()
