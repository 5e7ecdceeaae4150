"""The objectives on logits: properties that hold for any, and cases that can be worked out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.training.objectives import (
    Relations,
    decoupled_divergence,
    pseudo_label_entropy,
    soft_cross_entropy,
    soft_label_divergence,
    squared_distance,
    standardised,
)

SEEDS = st.integers(0, 1000)
TEMPERATURES = st.floats(0.2, 20)


def logits(seed: int, rows: int = 6, classes: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 3


def classes_of(seed: int, rows: int = 6, classes: int = 4) -> Tensor:
    return torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(seed))


def assert_zero(found: Tensor, within: float = 1e-9) -> None:
    torch.testing.assert_close(found, torch.zeros_like(found), atol=within, rtol=0)


@given(seed=SEEDS, shift=st.floats(-50, 50), temperature=TEMPERATURES)
@settings(max_examples=20)
def test_divergences_are_zero_for_equal_logits_up_to_a_constant(
    seed: int, shift: float, temperature: float
) -> None:
    teacher = logits(seed)
    student = teacher + shift
    assert_zero(soft_label_divergence(student, teacher, temperature))
    for part in decoupled_divergence(student, teacher, classes_of(seed), temperature):
        assert_zero(part)


@given(seed=SEEDS, temperature=TEMPERATURES)
@settings(max_examples=20)
def test_divergences_and_distances_are_never_negative(seed: int, temperature: float) -> None:
    student, teacher = logits(seed), logits(seed + 1)
    relations = Relations(student, teacher, temperature)
    for found in (
        soft_label_divergence(student, teacher, temperature),
        *decoupled_divergence(student, teacher, classes_of(seed), temperature),
        relations.of_rows(),
        relations.of_classes(),
        squared_distance(student, teacher),
        pseudo_label_entropy(student, teacher, 0.5),
    ):
        assert (found >= -1e-12).all()


@given(seed=SEEDS, temperature=TEMPERATURES)
@settings(max_examples=20)
def test_divergence_is_its_decoupled_parts(seed: int, temperature: float) -> None:
    """KD = TCKD + (1 - p_t) · NCKD, of each row (arXiv 2203.08679, equation 7)."""
    student, teacher, targets = logits(seed), logits(seed + 1), classes_of(seed)
    parts = decoupled_divergence(student, teacher, targets, temperature)
    p = (teacher / temperature).softmax(1).gather(1, targets[:, None])[:, 0]
    whole = soft_label_divergence(student, teacher, temperature)
    torch.testing.assert_close(parts.target + (1 - p) * parts.others, whole, atol=1e-9, rtol=1e-9)


def test_decoupled_parts_of_two_classes_are_the_divergence_and_nothing() -> None:
    student, teacher = logits(1, classes=2), logits(2, classes=2)
    parts = decoupled_divergence(student, teacher, classes_of(3, classes=2), 2.0)
    torch.testing.assert_close(parts.target, soft_label_divergence(student, teacher, 2.0))
    assert_zero(parts.others)


@given(seed=SEEDS, shift=st.floats(-50, 50), temperature=TEMPERATURES)
@settings(max_examples=20)
def test_objectives_on_probabilities_do_not_see_a_constant(
    seed: int, shift: float, temperature: float
) -> None:
    student, teacher, targets = logits(seed), logits(seed + 1), classes_of(seed)

    def all_of(student: Tensor, teacher: Tensor) -> Tensor:
        relations = Relations(student, teacher, temperature)
        return torch.stack(
            [
                soft_label_divergence(student, teacher, temperature),
                soft_cross_entropy(student, teacher, temperature),
                *decoupled_divergence(student, teacher, targets, temperature),
                relations.of_rows(),
                relations.of_classes().expand(len(student)),
                pseudo_label_entropy(student, teacher, 0.5),
            ]
        )

    moved = all_of(student + shift, teacher - 2 * shift)
    torch.testing.assert_close(moved, all_of(student, teacher), atol=1e-8, rtol=1e-8)


@given(seed=SEEDS, scale=st.floats(0.1, 100), shift=st.floats(-50, 50))
@settings(max_examples=20)
def test_standardised_logits_do_not_see_scale_and_constant(
    seed: int, scale: float, shift: float
) -> None:
    found = standardised(scale * logits(seed) + shift)
    torch.testing.assert_close(found, standardised(logits(seed)), atol=1e-5, rtol=1e-5)
    assert_zero(found.mean(1))
    torch.testing.assert_close(found.std(1), torch.ones(6, dtype=found.dtype), atol=1e-5, rtol=0)


def test_standardised_logits_of_two_classes_say_no_more_than_which_is_larger() -> None:
    found = standardised(logits(1, classes=2))
    torch.testing.assert_close(found.abs(), torch.full_like(found, math.sqrt(0.5)))


@given(seed=SEEDS, scale=st.floats(0.5, 2), temperature=st.floats(0.5, 5))
@settings(max_examples=20)
def test_correlations_are_perfect_for_equal_logits_and_at_worst_twice_the_scale(
    seed: int, scale: float, temperature: float
) -> None:
    teacher = logits(seed) * scale
    same = Relations(teacher, teacher, temperature)
    assert_zero(same.of_rows() / temperature**2, within=1e-4)
    assert_zero(same.of_classes() / temperature**2, within=1e-4)
    other = Relations(-teacher, teacher, temperature)
    assert (other.of_rows() <= 2 * temperature**2 + 1e-9).all()
    assert other.of_classes() <= 2 * temperature**2 + 1e-9


def test_constant_class_correlates_with_nothing_and_has_no_gradient() -> None:
    student = torch.zeros(5, 3, requires_grad=True)
    loss = Relations(student, logits(1, 5, 3).float(), 1.0).of_classes()
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_soft_cross_entropy_is_smallest_at_the_teacher_and_has_the_gradient_of_kd() -> None:
    student, teacher = logits(1).requires_grad_(), logits(2)
    (ours,) = torch.autograd.grad(soft_cross_entropy(student, teacher, 2.0).sum(), student)
    (kd,) = torch.autograd.grad(soft_label_divergence(student, teacher, 2.0).sum(), student)
    torch.testing.assert_close(ours, kd)
    entropy = -4 * (p := (teacher / 2).softmax(1)).mul(p.log()).sum(1)
    torch.testing.assert_close(soft_cross_entropy(teacher + 7, teacher, 2.0), entropy)


def test_gradient_of_the_divergence_is_the_difference_of_probabilities() -> None:
    """At T=1 the gradient with respect to the logits is q - p."""
    student, teacher = logits(9).requires_grad_(), logits(10)
    soft_label_divergence(student, teacher, 1.0).sum().backward()
    torch.testing.assert_close(student.grad, student.softmax(1) - teacher.softmax(1))


def test_pseudo_labels_count_from_the_threshold_on() -> None:
    teacher = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]))
    student = torch.log(torch.tensor([[0.2, 0.4, 0.4]] * 3))
    everything = [-math.log(0.2), -math.log(0.4), -math.log(0.2)]
    for threshold, counted in ((0.0, [1, 1, 1]), (0.7, [0, 1, 1]), (0.85, [0, 0, 1])):
        found = pseudo_label_entropy(student, teacher, threshold)
        expected = [a * b for a, b in zip(everything, counted, strict=True)]
        torch.testing.assert_close(found, torch.tensor(expected))
