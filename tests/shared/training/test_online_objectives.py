"""Objectives for which several networks learn, or exits of one: against independent values, and for
any logits."""

import json
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.recipe.objectives import Kd
from components.shared.training.objectives import DistillationLoss
from components.shared.training.objectives.composing import Apart
from components.shared.training.objectives.exits import exit_losses
from components.shared.training.objectives.peers import mutual_losses, taught_losses
from components.shared.training.rows import Batch

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "online.json").read_text())

Losses = Callable[[Tensor, Sequence[Tensor], Batch, float], Apart]


def taught(student: Tensor, others: Sequence[Tensor], batch: Batch, temperature: float) -> Apart:
    (teacher,) = others
    return taught_losses(student, teacher, batch, temperature)


def exits(student: Tensor, others: Sequence[Tensor], batch: Batch, temperature: float) -> Apart:
    return Apart(0 * student.sum(), exit_losses(others, student, batch, 0.3, temperature))


LOSSES: dict[str, Losses] = {
    "mutual": mutual_losses,
    "online_teacher": taught,
    "deeper_exit": exits,
}
SEEDS = st.integers(0, 1000)
LABELS = [1, -1, 0, 2, -1, 1]


def batch_of(labels: list[int]) -> Batch:
    nothing = torch.empty(0)
    return Batch(nothing, torch.tensor(labels), nothing, torch.arange(len(labels)))


def logits_of(seed: int, networks: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = torch.randn(networks, 6, 3, generator=generator, dtype=torch.float64) * 3
    return list(made)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["name"]))
def test_values_and_gradients_agree_with_an_independent_reference(
    case: dict[str, Any], dtype: torch.dtype
) -> None:
    """The gradient of all together is, for each network, that of what it minimises itself."""
    student, *others = (
        torch.tensor(logits, dtype=dtype, requires_grad=True) for logits in case["networks"]
    )
    batch = batch_of(case["labels"])
    found = LOSSES[case["name"]](student, others, batch, case["temperature"])
    own, *beside = case["losses"]
    assert found.student.item() == pytest.approx(own, rel=1e-5, abs=1e-5)
    assert found.companions.item() == pytest.approx(sum(beside), rel=1e-5, abs=1e-5)
    slopes = torch.autograd.grad(found.student + found.companions, [student, *others])
    for slope, expected in zip(slopes, case["gradients"], strict=True):
        wanted = torch.tensor(expected, dtype=dtype)
        torch.testing.assert_close(slope, wanted, rtol=1e-5, atol=1e-5)


def test_reference_is_what_its_script_makes() -> None:
    formulas = runpy.run_path(str(FOLDER / "online.py"))["FORMULAS"]
    for case in GOLDEN["cases"]:
        networks = [np.array(logits) for logits in case["networks"]]
        found = formulas[case["name"]](networks, case["labels"], case["temperature"])
        assert found == pytest.approx(case["losses"])


@given(seed=SEEDS, offset=st.floats(-50, 50), temperature=st.floats(0.5, 8))
@settings(max_examples=10)
def test_networks_of_the_same_probabilities_have_nothing_to_learn_but_the_labels(
    seed: int, offset: float, temperature: float
) -> None:
    student, other = logits_of(seed, 2)
    batch = batch_of(LABELS)
    alike = mutual_losses(student, [student + offset, student - offset], batch, temperature)
    assert alike.student.item() == pytest.approx(0, abs=1e-9)
    known = torch.tensor(LABELS) >= 0
    entropy = -student.log_softmax(dim=1)[known, torch.tensor(LABELS)[known]].sum() / len(LABELS)
    torch.testing.assert_close(alike.companions, 2 * entropy)
    assert mutual_losses(student, [other], batch, temperature).student > 0


@given(seed=SEEDS)
@settings(max_examples=10)
def test_order_of_the_peers_does_not_matter(seed: int) -> None:
    student, *peers = logits_of(seed, 4)
    batch = batch_of(LABELS)
    forth, back = (mutual_losses(student, some, batch, 2.0) for some in (peers, peers[::-1]))
    torch.testing.assert_close(forth.student, back.student)
    torch.testing.assert_close(forth.companions, back.companions)


@given(seed=SEEDS, offset=st.floats(-50, 50), temperature=st.floats(0.5, 8))
@settings(max_examples=10)
def test_student_of_a_teacher_that_learns_minimises_what_kd_is_and_the_teacher_the_labels(
    seed: int, offset: float, temperature: float
) -> None:
    student, teacher = logits_of(seed, 2)
    found = taught_losses(student, teacher, batch_of(LABELS), temperature)
    stored = batch_of(LABELS)._replace(teacher_logits=teacher)
    kd = DistillationLoss((Kd(kind="kd"),), 1.0, temperature)(student, stored, 0.0)
    torch.testing.assert_close(found.student, kd)
    torch.testing.assert_close(
        found.companions, DistillationLoss((), 0.0)(teacher, batch_of(LABELS), 0.0)
    )
    alike = taught_losses(teacher + offset, teacher, batch_of(LABELS), temperature)
    assert alike.student.item() == pytest.approx(0, abs=1e-9)


@given(seed=SEEDS, offset=st.floats(-50, 50), temperature=st.floats(0.5, 8))
@settings(max_examples=10)
def test_exits_that_say_what_the_deepest_does_have_nothing_to_learn_but_the_labels(
    seed: int, offset: float, temperature: float
) -> None:
    deepest, other = logits_of(seed, 2)
    batch = batch_of(LABELS)
    alike = [deepest + offset, deepest - offset]
    assert exit_losses(alike, deepest, batch, 1.0, temperature).item() == pytest.approx(0, abs=1e-9)
    entropy = DistillationLoss((), 0.0)(deepest, batch, 0.0)
    labels_alone = exit_losses(alike, deepest, batch, 0.0, temperature)
    torch.testing.assert_close(labels_alone, 2 * entropy)
    assert exit_losses([other], deepest, batch, 1.0, temperature) > 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("sizes", [[6], [2, 4], [1, 2, 3]])
def test_losses_are_the_mean_over_microbatches_of_any_size(sizes: list[int], name: str) -> None:
    student, *peers = logits_of(1, networks=2)
    losses = LOSSES[name]
    whole = losses(student, peers, batch_of(LABELS), 2.0)
    summed, start = torch.zeros(2, dtype=torch.float64), 0
    for size in sizes:
        part = slice(start, start + size)
        some = losses(student[part], [peer[part] for peer in peers], batch_of(LABELS[part]), 2.0)
        summed, start = summed + torch.stack(some) * size, start + size
    torch.testing.assert_close(summed / 6, torch.stack(whole))


def test_rows_without_a_label_teach_by_the_other_networks_alone() -> None:
    student, peer = (one.requires_grad_() for one in logits_of(2, 2))
    found = mutual_losses(student, [peer], batch_of([-1] * 6), 1.0)
    expected = torch.nn.functional.kl_div(
        peer.log_softmax(dim=1),
        student.log_softmax(dim=1),
        log_target=True,
        reduction="batchmean",
    )
    torch.testing.assert_close(found.companions, expected)
    (slope,) = torch.autograd.grad(found.companions, [peer])
    assert (slope.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_the_objective_and_none_goes_to_whom_a_network_learns_from(
    name: str,
) -> None:
    student, peer = (one.requires_grad_() for one in logits_of(3, 2))
    batch, losses = batch_of(LABELS), LOSSES[name]
    assert torch.autograd.gradcheck(lambda own: losses(own, [peer], batch, 2.0).student, student)
    assert torch.autograd.gradcheck(lambda own: losses(student, [own], batch, 2.0).companions, peer)
    found = losses(student, [peer], batch, 2.0)
    assert torch.autograd.grad(found.student, [peer], allow_unused=True) == (None,)
    assert torch.autograd.grad(found.companions, [student], allow_unused=True) == (None,)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_extreme_logits_give_finite_values_and_gradients(dtype: torch.dtype, name: str) -> None:
    extreme = torch.tensor([[1e4, -1e4, 0], [1e4, 1e4, 1e4], [-1e4, 0, 1e4]], dtype=dtype)
    student, peer = extreme.clone().requires_grad_(), extreme.roll(1, 1).requires_grad_()
    found = LOSSES[name](student, [peer], batch_of([0, -1, 1]), 1.0)
    value = found.student + found.companions
    assert torch.isfinite(value)
    for slope in torch.autograd.grad(value, [student, peer]):
        assert torch.isfinite(slope).all()
