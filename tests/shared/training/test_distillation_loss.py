"""The loss that a recipe's method makes: against independent values, and on all it may meet."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from components.shared.recipe.objectives import RESPONSE_NAMES, Dkd, Kd, Objectives, Schedule
from components.shared.training.objectives import DistillationLoss, cross_entropy
from components.shared.training.objectives import soft_label_divergence as divergence
from components.shared.training.rows import Batch

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "objectives.json").read_text())
METHODS: dict[str, Any] = {
    **{name: name for name in RESPONSE_NAMES},
    **{
        f"{name}, standardised": {"kind": name, "standardise": True}
        for name in ("kd", "dkd", "dist", "soft_cross_entropy")
    },
    "pseudo_label, threshold": {"kind": "pseudo_label", "threshold": 0.6},
    "composed": ["kd", {"kind": "dkd", "weight": 0.3}, {"kind": "dist", "temperature": 4.0}],
}
ROW_BY_ROW = [name for name in METHODS if "dist" not in name and name != "composed"]
PERFECT_AT_ZERO = [
    name for name in METHODS if "soft_cross_entropy" not in name and "pseudo" not in name
]


def loss_of(method: Any, temperature: Any = 2.0, weight: float = 0.9) -> DistillationLoss:
    objectives: Any = TypeAdapter(Objectives).validate_python(method)
    return DistillationLoss(tuple(objectives), weight, temperature)


def logits(seed: int, rows: int = 6, classes: int = 4, scale: float = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, classes, generator=generator, dtype=torch.float64) * scale


LABELS = torch.tensor([0, -1, 2, -1, -1, 3])


def batch(teacher: Tensor, labels: Tensor = LABELS) -> Batch:
    nothing = torch.empty(0)
    return Batch(nothing, labels, teacher, nothing)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{case['name']}, T={case['temperature']:g}"
)
def test_loss_and_gradient_agree_with_an_independent_reference(
    case: dict[str, Any], dtype: torch.dtype
) -> None:
    student = torch.tensor(GOLDEN["student"], dtype=dtype, requires_grad=True)
    teacher = torch.tensor(GOLDEN["teacher"], dtype=dtype)
    found = loss_of(case["method"], case["temperature"], case["weight"])(
        student, batch(teacher, torch.tensor(GOLDEN["labels"])), case["progress"]
    )
    found.backward()  # type: ignore[no-untyped-call]
    assert found.item() == pytest.approx(case["loss"], rel=1e-5, abs=1e-5)
    expected = torch.tensor(case["gradient"], dtype=dtype)
    torch.testing.assert_close(student.grad, expected, rtol=1e-5, atol=1e-5)


def test_reference_is_what_its_script_makes() -> None:
    script = runpy.run_path(str(FOLDER / "objectives.py"))
    known = {case["name"]: case["method"] for case in GOLDEN["cases"]}
    assert known == script["METHODS"]
    arrays = [np.array(GOLDEN[name]) for name in ("student", "teacher", "labels")]
    for case in GOLDEN["cases"]:
        assert script["total"](*arrays, case["method"], case) == pytest.approx(case["loss"])


@pytest.mark.parametrize("method", METHODS)
def test_gradient_is_that_of_the_loss(method: str) -> None:
    loss, taught = loss_of(METHODS[method]), batch(logits(2, rows=3), LABELS[:3])
    student = logits(1, rows=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, taught, 0.3), student)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000), towards=st.integers(0, 1000))
@settings(max_examples=5)
def test_nothing_is_better_than_the_teachers_logits(method: str, seed: int, towards: int) -> None:
    """Zero where the loss can be, and not lowered by a step in any direction. Pseudo-labels want
    more of the teacher's first choice than the teacher, and are left out."""
    if "pseudo" in method:
        return
    loss, teacher = loss_of(METHODS[method], weight=1.0), logits(seed, scale=1.0)
    least = float(loss(teacher, batch(teacher), 0.0))
    if method in PERFECT_AT_ZERO:
        assert least == pytest.approx(0, abs=1e-3)
    moved = teacher + 0.1 * logits(towards, scale=1.0)
    assert float(loss(moved, batch(teacher), 0.0)) >= least - 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("method", METHODS)
def test_extreme_logits_give_a_finite_loss_and_gradient(method: str, dtype: torch.dtype) -> None:
    rows = [[1e4, -1e4, 0, 0], [-1e4, 1e4, 0, 1], [1e4] * 4, [0] * 4, [1e4, -1e4, 0, 0]]
    student = torch.tensor(rows, dtype=dtype, requires_grad=True)
    teacher = torch.tensor([*rows[1:], rows[4]], dtype=dtype)
    for labels in (torch.full((5,), -1), torch.tensor([0, 0, 3, 1, 2])):
        for temperature in (0.2, 1.0, 20.0):
            loss = loss_of(METHODS[method], temperature)(student, batch(teacher, labels), 0.0)
            (gradient,) = torch.autograd.grad(loss, student)
            assert torch.isfinite(loss)
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("sizes", [[6], [2, 4], [1, 2, 3]])
@pytest.mark.parametrize("method", ROW_BY_ROW)
def test_loss_is_the_mean_over_microbatches_of_any_size(method: str, sizes: list[int]) -> None:
    loss, student, teacher = loss_of(METHODS[method]), logits(3), logits(4)
    whole = loss(student, batch(teacher), 0.0)
    parts = zip(student.split(sizes), teacher.split(sizes), LABELS.split(sizes), strict=True)
    summed = sum(loss(s, batch(t, y), 0.0) * len(y) for s, t, y in parts)
    torch.testing.assert_close(torch.as_tensor(summed) / 6, whole)


def test_dist_looks_across_the_batch_and_of_one_row_sees_the_row_alone() -> None:
    loss, student, teacher = loss_of("dist", weight=1.0), logits(3), logits(4)
    parts = [loss(student[i : i + 1], batch(teacher[i : i + 1]), 0.0) for i in range(6)]
    rows = loss_of({"kind": "dist", "gamma": 1e-9}, weight=1.0)(student, batch(teacher), 0.0)
    of_constant_classes = 2 * 2.0**2  # gamma · T², since a constant correlates with nothing
    torch.testing.assert_close(torch.stack(parts).mean(), rows + of_constant_classes)


@pytest.mark.parametrize("method", METHODS)
def test_loss_works_in_bfloat16_autocast(method: str) -> None:
    torch.manual_seed(0)
    layer, inputs = torch.nn.Linear(5, 4), torch.randn(6, 5)
    taught = batch(logits(2).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = layer(inputs)
        assert given.dtype == torch.bfloat16
        loss = loss_of(METHODS[method])(given, taught, 0.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    exact = loss_of(METHODS[method])(given.detach().float(), taught, 0.0)
    torch.testing.assert_close(loss.detach(), exact)
    assert layer.weight.grad is not None
    assert torch.isfinite(layer.weight.grad).all()


def test_rows_without_a_label_learn_from_the_teacher_alone() -> None:
    student, teacher = logits(5), logits(6)
    found = loss_of("kd")(student, batch(teacher, torch.full((6,), -1)), 0.0)
    torch.testing.assert_close(found, 0.9 * divergence(student, teacher, 2.0).mean())


def test_weight_zero_is_cross_entropy() -> None:
    student, labels = logits(7), torch.tensor([0, 1, 2, 3, 0, 1])
    found = loss_of("kd", weight=0.0)(student, batch(logits(8), labels), 0.0)
    torch.testing.assert_close(found, cross_entropy(student, labels))


def test_dkd_takes_the_label_or_where_there_is_none_the_teachers_first_choice() -> None:
    student, teacher = logits(1), logits(2)
    loss, first = loss_of("dkd", weight=1.0), teacher.argmax(1)
    unlabelled = loss(student, batch(teacher, torch.full((6,), -1)), 0.0)
    torch.testing.assert_close(unlabelled, loss(student, batch(teacher, first), 0.0))
    assert not torch.isclose(unlabelled, loss(student, batch(teacher, (first + 1) % 4), 0.0))


def test_own_temperature_of_an_objective_goes_before_the_candidates() -> None:
    student, taught = logits(1), batch(logits(2))
    own = loss_of({"kind": "kd", "temperature": 4.0}, temperature=2.0)(student, taught, 0.0)
    torch.testing.assert_close(own, loss_of("kd", temperature=4.0)(student, taught, 0.0))


def test_objectives_are_summed_by_their_weights() -> None:
    student, taught = logits(1), batch(logits(2))
    kd, mse = (loss_of(name, weight=1.0)(student, taught, 0.0) for name in ("kd", "logit_mse"))
    method = [{"kind": "kd", "weight": 0.5}, {"kind": "logit_mse", "weight": 3.0}]
    together = loss_of(method, weight=1.0)(student, taught, 0.0)
    torch.testing.assert_close(together, 0.5 * kd + 3 * mse)


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)])
def test_weight_of_an_objective_warms_up(progress: float, factor: float) -> None:
    student, taught = logits(1), batch(logits(2))
    plain = DistillationLoss((Dkd(kind="dkd"),), 1.0, 2.0)(student, taught, progress)
    warm_up = Dkd(kind="dkd", weight=Schedule(start=0, end=1, over=0.2))
    found = DistillationLoss((warm_up,), 1.0, 2.0)(student, taught, progress)
    torch.testing.assert_close(found, factor * plain)


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 4.0), (0.5, 2.5), (1.0, 1.0)])
def test_temperature_may_fall_in_the_course_of_the_training(
    progress: float, temperature: float
) -> None:
    student, taught, falling = logits(1), batch(logits(2)), Schedule(start=4, end=1)
    expected = loss_of("kd", temperature=temperature)(student, taught, 0.0)
    candidate = loss_of("kd", temperature=falling)(student, taught, progress)
    own = DistillationLoss((Kd(kind="kd", temperature=falling),), 0.9)(student, taught, progress)
    torch.testing.assert_close(candidate, expected)
    torch.testing.assert_close(own, expected)
