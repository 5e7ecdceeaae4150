import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from components.shared.training.objectives import (
    cross_entropy,
    distillation_loss,
    soft_label_divergence,
)


def logits(seed: int, rows: int = 6, classes: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_divergence_agrees_with_the_formula_in_numpy(temperature: float) -> None:
    student, teacher = logits(1), logits(2)
    p = softmax(teacher.numpy() / temperature, axis=1)
    log_q = log_softmax(student.numpy() / temperature, axis=1)
    expected = temperature**2 * (p * (np.log(p) - log_q)).sum(axis=1)
    found = soft_label_divergence(student, teacher, temperature)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50), temperature=st.floats(0.2, 20))
@settings(max_examples=50, deadline=None)
def test_divergence_is_zero_for_equal_logits_up_to_a_constant(
    seed: int, shift: float, temperature: float
) -> None:
    teacher = logits(seed)
    found = soft_label_divergence(teacher + shift, teacher, temperature)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-9, rtol=0)


@given(seed=st.integers(0, 1000), temperature=st.floats(0.2, 20))
@settings(max_examples=50, deadline=None)
def test_divergence_is_never_negative(seed: int, temperature: float) -> None:
    assert (soft_label_divergence(logits(seed), logits(seed + 1), temperature) >= -1e-12).all()


def test_extreme_logits_give_a_finite_loss_and_gradient() -> None:
    student = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = distillation_loss(student, torch.tensor([[-1e4, 1e4, 0.0]]), torch.tensor([0]), 1.0, 0.5)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("sizes", [[6], [2, 4], [1, 2, 3]])
def test_loss_is_the_mean_over_microbatches_of_any_size(sizes: list[int]) -> None:
    student, teacher = logits(3), logits(4)
    labels = torch.tensor([0, -1, 2, -1, -1, 3])
    whole = distillation_loss(student, teacher, labels, 2.0, 0.9)
    parts = zip(student.split(sizes), teacher.split(sizes), labels.split(sizes), strict=True)
    summed = sum(distillation_loss(s, t, y, 2.0, 0.9) * len(y) for s, t, y in parts)
    torch.testing.assert_close(torch.as_tensor(summed) / 6, whole)


def test_rows_without_a_label_learn_from_the_teacher_alone() -> None:
    student, teacher = logits(5), logits(6)
    nobody = torch.full((6,), -1)
    found = distillation_loss(student, teacher, nobody, 2.0, 0.9)
    torch.testing.assert_close(found, 0.9 * soft_label_divergence(student, teacher, 2.0).mean())


def test_weight_zero_is_cross_entropy() -> None:
    student, labels = logits(7), torch.tensor([0, 1, 2, 3, 0, 1])
    found = distillation_loss(student, logits(8), labels, 2.0, 0.0)
    torch.testing.assert_close(found, cross_entropy(student, labels))


def test_gradient_is_the_difference_of_probabilities() -> None:
    """At T=1 the gradient of the divergence with respect to the logits is q - p."""
    student, teacher = logits(9).requires_grad_(), logits(10)
    soft_label_divergence(student, teacher, 1.0).sum().backward()
    torch.testing.assert_close(student.grad, student.softmax(1) - teacher.softmax(1))
