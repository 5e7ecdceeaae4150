"""Properties of what is stored of a row's logits."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.soft_labels import StoreIdentity, TeacherRef
from components.shared.soft_labels.representation import (
    compress,
    expand,
    first_choices,
    first_unusable,
    index_type,
)

Array = npt.NDArray[np.floating[Any]]


def topk(classes: int, k: int | None) -> StoreIdentity:
    return StoreIdentity(
        dataset_digest="d",
        teachers=[TeacherRef(digest="t", weight=1)],
        classes=[str(number) for number in range(classes)],
        preprocessing_digest="p",
        representation="dense" if k is None else "topk",
        k=k,
        piece_rows=1,
    )


def softmax(logits: Array) -> Array:
    exponent = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponent / exponent.sum(axis=-1, keepdims=True)


@st.composite
def logits_and_k(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], int]:
    classes = draw(st.integers(2, 40))
    rows, views = draw(st.integers(0, 5)), draw(st.integers(1, 3))
    scale = draw(st.sampled_from([0.0, 0.1, 3.0, 30.0, 1000.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = (random.normal(size=(rows, views, classes)) * scale).astype(np.float16)
    return logits.astype(np.float32), draw(st.integers(1, classes - 1))


@given(logits_and_k())
@settings(max_examples=200)
def test_largest_k_keep_their_probabilities_and_all_sum_to_one(
    example: tuple[npt.NDArray[np.float32], int],
) -> None:
    logits, k = example
    identity = topk(logits.shape[-1], k)
    tensors = compress(logits, identity)
    found = softmax(expand(tensors, identity))
    exact = softmax(logits)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    indices = tensors["indices"].astype(np.int64)
    kept = np.take_along_axis(found, indices, -1)
    np.testing.assert_allclose(kept, np.take_along_axis(exact, indices, -1), rtol=2e-5, atol=1e-30)
    np.testing.assert_array_equal(
        np.sort(np.take_along_axis(logits, indices, -1), -1), np.sort(logits, -1)[..., -k:]
    )


@given(logits_and_k())
@settings(max_examples=100)
def test_left_over_mass_is_spread_evenly(example: tuple[npt.NDArray[np.float32], int]) -> None:
    logits, k = example
    identity = topk(logits.shape[-1], k)
    tensors = compress(logits, identity)
    dense = expand(tensors, identity)
    others = np.ones(dense.shape, bool)
    np.put_along_axis(others, tensors["indices"].astype(np.int64), False, -1)
    left_over = np.where(others, dense, -np.inf).max(axis=-1), np.where(others, dense, np.inf)
    np.testing.assert_array_equal(left_over[0], left_over[1].min(axis=-1))
    np.testing.assert_array_equal(dense.argmax(-1) if dense.size else 0, logits.argmax(-1))


def test_tiny_left_over_mass_is_not_lost() -> None:
    logits = np.asarray([[[40.0, 0.0, 0.0, 0.0]]], np.float32)
    identity = topk(4, 1)
    np.testing.assert_allclose(expand(compress(logits, identity), identity), logits, atol=1e-5)


def test_dense_logits_are_those_of_float16() -> None:
    logits = np.random.default_rng(0).normal(size=(7, 2, 5)).astype(np.float32)
    found = expand(compress(logits, topk(5, None)), topk(5, None))
    np.testing.assert_array_equal(found, logits.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (256, np.uint8),
        (257, np.uint16),
        (2049, np.uint16),
        (65_536, np.uint16),
        (65_537, np.uint32),
    ],
)
def test_indices_are_the_smallest_integers_that_suffice(classes: int, kind: type) -> None:
    assert index_type(classes) is kind
    logits = np.zeros((1, 1, classes), np.float32)
    logits[0, 0, -1] = 1
    tensors = compress(logits, topk(classes, 2))
    assert tensors["indices"].dtype == kind
    assert first_choices(tensors).tolist() == [classes - 1]


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_first_row_with_a_number_that_cannot_be_kept_is_found(k: int | None, value: float) -> None:
    logits = np.zeros((5, 2, 4), np.float32)
    assert first_unusable(compress(logits, topk(4, k))) is None
    logits[3, 1, 2] = value
    logits[4] = np.nan
    assert first_unusable(compress(logits, topk(4, k))) == 3


def test_tail_that_is_not_a_number_is_found() -> None:
    logits = np.asarray([[[3.0, 2.0, np.nan, 0.0]]], np.float32)
    assert first_unusable(compress(logits, topk(4, 1))) == 0
