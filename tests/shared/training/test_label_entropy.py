"""Cross-entropy with the labels of rows that were mixed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.recipe.objectives import Dkd, Kd
from components.shared.training.objectives import (
    DistillationLoss,
    label_entropy,
    mean_label_entropy,
)
from components.shared.training.rows import Batch
from components.shared.training.rows.protocol import Mixed

ROWS, CLASSES = 6, 4
LABELS = torch.tensor([0, 3, -1, 2, -1, 1])
OTHERS = torch.tensor([1, 3, 0, -1, -1, 2])
SHARES = torch.tensor([0.25, 0.5, 0.75, 0.75, 0.0, 1.0])
POSITIONS = torch.arange(ROWS)


def logits(seed: int, scale: float = 2.0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(scale=scale, size=(ROWS, CLASSES)))


def batch(mixed: Mixed | None, teacher: Tensor | None = None) -> Batch:
    given = torch.zeros(ROWS, 0) if teacher is None else teacher
    return Batch(torch.zeros(ROWS, 1), LABELS, given, POSITIONS, None, mixed)


MIXED = batch(Mixed(OTHERS, SHARES.double()))


def expected(values: Tensor) -> np.ndarray:
    """Formula of arXiv 1710.09412 on mixed one-hot labels, for the rows that have both."""
    given = values.numpy()
    found = given - np.log(np.exp(given).sum(axis=1, keepdims=True))
    hot = np.eye(CLASSES)
    mixture = SHARES.numpy()[:, None] * hot[LABELS] + (1 - SHARES.numpy())[:, None] * hot[OTHERS]
    known = np.asarray([True, True, False, False, False, True])
    return np.where(known, -(mixture * found).sum(axis=1), 0.0)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_it_is_the_cross_entropy_with_the_mixture_of_the_labels(seed: int) -> None:
    values = logits(seed)
    np.testing.assert_allclose(label_entropy(values, MIXED), expected(values), rtol=1e-9)
    halves = [
        label_entropy(
            values[rows],
            MIXED._replace(labels=LABELS[rows], mixed=Mixed(OTHERS[rows], SHARES[rows].double())),
        )
        for rows in (slice(2), slice(2, ROWS))
    ]
    assert torch.equal(torch.cat(halves), label_entropy(values, MIXED)), "row by row"


def test_row_that_is_whole_needs_no_second_label() -> None:
    whole = Mixed(torch.full((ROWS,), -1), torch.ones(ROWS, dtype=torch.float64))
    values = logits(1)
    assert torch.equal(label_entropy(values, batch(whole)), label_entropy(values, batch(None)))


def test_gradient_is_right_and_extremes_are_finite() -> None:
    values = logits(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: label_entropy(given, MIXED), values)
    extreme = (1e4 * logits(3).sign()).requires_grad_()
    mean_label_entropy(extreme, MIXED).backward()  # type: ignore[no-untyped-call]
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()


@pytest.mark.parametrize("kind", [Kd(kind="kd"), Dkd(kind="dkd")])
def test_distillation_of_mixed_rows_has_both_labels_and_the_teachers_word_on_the_mixture(
    kind: Kd | Dkd,
) -> None:
    teacher, values = logits(4), logits(5)
    mixed = batch(Mixed(OTHERS, SHARES.double()), teacher)
    hard = DistillationLoss((kind,), weight=0.0)(values, mixed, 0)
    torch.testing.assert_close(hard, torch.from_numpy(expected(values)).mean())
    soft = DistillationLoss((kind,), weight=1.0)
    decided = batch(None, teacher)._replace(labels=teacher.argmax(dim=1))
    torch.testing.assert_close(soft(values, mixed, 0), soft(values, decided, 0))
