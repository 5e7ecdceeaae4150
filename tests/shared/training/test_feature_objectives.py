"""The objectives on hidden layers: against independent values, and what holds for any layers."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from components.shared.training.distributed import Ranks
from components.shared.training.hidden import Tap
from components.shared.training.objectives.composing import ComposedLoss
from components.shared.training.objectives.contrast import Contrast, contrast
from components.shared.training.objectives.layers import (
    aligned,
    attention_distance,
    cosine_distance,
    squared_layer_distance,
)
from components.shared.training.objectives.relational import (
    Constellation,
    alignment_distance,
    angle_relation,
    distance_relation,
    similarity_distance,
)
from components.shared.training.rows import Batch
from components.shared.training.step import Watch

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "features.json").read_text())
SEEDS = st.integers(0, 1000)
Objective = Callable[[Tensor, Tensor], Tensor]


def by_places(distance: Objective) -> Objective:
    """Of maps, tokens or vectors, the mean over the rows."""
    return lambda student, teacher: distance(*aligned(student, teacher)).mean()


ROW_BY_ROW: dict[str, Objective] = {
    "fitnet": by_places(squared_layer_distance),
    "cosine": by_places(cosine_distance),
    "attention_transfer": by_places(attention_distance),
}
ACROSS: dict[str, Objective] = {
    "rkd_distance": lambda s, t: distance_relation(Constellation(s), Constellation(t)),
    "rkd_angle": lambda s, t: angle_relation(Constellation(s), Constellation(t)),
    "similarity_preserving": similarity_distance,
    "cka": alignment_distance,
}
OBJECTIVES = {**ROW_BY_ROW, **ACROSS}


def layer(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale


def example(name: str, seed: int, rows: int = 5) -> Tensor:
    """Maps for what looks at rows, vectors for what looks across them."""
    return layer(seed, rows, 3, 2, 3) if name in ROW_BY_ROW else layer(seed, rows, 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["name"]))
def test_value_and_gradient_agree_with_an_independent_reference(
    case: dict[str, Any], dtype: torch.dtype
) -> None:
    student = torch.tensor(case["student"], dtype=dtype, requires_grad=True)
    found = OBJECTIVES[case["name"]](student, torch.tensor(case["teacher"], dtype=dtype))
    found.backward()  # type: ignore[no-untyped-call]
    assert found.item() == pytest.approx(case["loss"], rel=1e-5, abs=1e-5)
    expected = torch.tensor(case["gradient"], dtype=dtype)
    torch.testing.assert_close(student.grad, expected, rtol=1e-5, atol=1e-5)


def test_reference_is_what_its_script_makes() -> None:
    script = runpy.run_path(str(FOLDER / "features.py"))
    for case in GOLDEN["cases"]:
        layers = [np.array(case[role]) for role in ("student", "teacher")]
        assert script["FORMULAS"][case["name"]](*layers) == pytest.approx(case["loss"])
    known = GOLDEN["crd"]
    assert script["crd"](known["steps"], known["setting"]) == pytest.approx(known["losses"])


@pytest.mark.parametrize("name", OBJECTIVES)
@given(seed=SEEDS)
@settings(max_examples=5)
def test_nothing_is_better_than_the_teachers_layer(name: str, seed: int) -> None:
    teacher, student = example(name, seed), example(name, seed + 1)
    objective = OBJECTIVES[name]
    assert float(objective(teacher, teacher)) == pytest.approx(0, abs=1e-9)
    assert float(objective(student, teacher)) > 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_is_that_of_the_objective(name: str) -> None:
    teacher = example(name, 2, rows=4)
    student = example(name, 1, rows=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: OBJECTIVES[name](x, teacher), student)


def rotation(seed: int, width: int) -> Tensor:
    return torch.linalg.qr(layer(seed, width, width)).Q


@given(seed=SEEDS, factor=st.floats(0.1, 10))
@settings(max_examples=5)
def test_relations_do_not_change_when_layers_are_rotated_and_scaled(
    seed: int, factor: float
) -> None:
    student, teacher = layer(seed, 5, 4), layer(seed + 1, 5, 6)
    moved = factor * student @ rotation(seed, 4)
    for objective in ACROSS.values():
        torch.testing.assert_close(objective(moved, teacher), objective(student, teacher))


@given(seed=SEEDS, offset=st.floats(-10, 10))
@settings(max_examples=5)
def test_distances_angles_and_alignment_do_not_change_when_layers_are_moved(
    seed: int, offset: float
) -> None:
    student, teacher = layer(seed, 5, 4), layer(seed + 1, 5, 6)
    for name in ("rkd_distance", "rkd_angle", "cka"):
        moved = ACROSS[name](student + offset, teacher)
        torch.testing.assert_close(moved, ACROSS[name](student, teacher), rtol=1e-6, atol=1e-9)


@given(seed=SEEDS, factor=st.floats(0.1, 10))
@settings(max_examples=5)
def test_attention_and_cosine_do_not_change_when_layers_are_scaled(
    seed: int, factor: float
) -> None:
    student, teacher = layer(seed, 4, 3, 2, 2), layer(seed + 1, 4, 3, 2, 2)
    for name in ("attention_transfer", "cosine"):
        objective = ROW_BY_ROW[name]
        torch.testing.assert_close(
            objective(factor * student, teacher), objective(student, teacher)
        )


@pytest.mark.parametrize("sizes", [[6], [2, 4], [1, 2, 3]])
@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_objective_of_rows_is_the_mean_over_microbatches_of_any_size(
    name: str, sizes: list[int]
) -> None:
    student, teacher = example(name, 3, rows=6), example(name, 4, rows=6)
    parts = zip(student.split(sizes), teacher.split(sizes), strict=True)
    summed = sum(ROW_BY_ROW[name](s, t) * len(s) for s, t in parts)
    torch.testing.assert_close(torch.as_tensor(summed) / 6, ROW_BY_ROW[name](student, teacher))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_extreme_and_equal_rows_give_a_finite_value_and_gradient(
    name: str, dtype: torch.dtype
) -> None:
    extreme = torch.tensor([[1e4, -1e4, 0, 0], [1e4] * 4, [0] * 4, [-1e4, 1e4, 0, 1]], dtype=dtype)
    for rows in (extreme, torch.zeros(4, 4, dtype=dtype), extreme[[0, 0, 1, 1]], extreme[:1]):
        for taught in (rows.flip(0), rows.roll(1, 1), torch.zeros_like(rows)):
            shape = (len(rows), 1, 2, 2) if name in ROW_BY_ROW else (len(rows), 4)
            student = rows.reshape(shape).clone().requires_grad_()
            value = OBJECTIVES[name](student, taught.reshape(shape))
            (gradient,) = torch.autograd.grad(value, student)
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


def test_larger_layer_is_averaged_over_places_to_the_size_of_the_smaller() -> None:
    student, teacher = layer(0, 2, 3, 7, 4), layer(1, 2, 5, 3, 6)
    pair = aligned(student, teacher)
    expected = torch.nn.functional.adaptive_avg_pool2d(student, (3, 4)).flatten(2)
    torch.testing.assert_close(pair.student, expected.transpose(1, 2))
    assert pair.teacher.shape == (2, 12, 5)
    tokens = aligned(layer(2, 2, 7, 3), layer(3, 2, 5, 4))
    assert (tokens.student.shape, tokens.teacher.shape) == ((2, 5, 3), (2, 5, 4))


def test_what_has_other_places_is_compared_by_its_mean() -> None:
    image, tokens, vector = layer(0, 2, 3, 4, 4), layer(1, 2, 7, 3), layer(2, 2, 3)
    for pair in (aligned(image, vector), aligned(image, tokens), aligned(vector, tokens)):
        assert pair.student.shape == pair.teacher.shape == (2, 1, 3)
    torch.testing.assert_close(aligned(image, vector).student[:, 0], image.mean(dim=(2, 3)))


def test_layers_of_half_precision_are_widened() -> None:
    pair = aligned(layer(0, 2, 3).bfloat16(), layer(1, 2, 3).half())
    assert pair.student.dtype == pair.teacher.dtype == torch.float32


class Columns(nn.Module):
    """Some columns of its input, as a layer and as logits."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.layer, self._columns = nn.Identity(), slice(start, stop)

    def forward(self, inputs: Tensor) -> Tensor:
        chosen: Tensor = self.layer(inputs[:, self._columns])
        return chosen


def contrasts(term: Contrast, steps: list[tuple[Tensor, list[int]]]) -> list[Tensor]:
    """What a term makes of steps: rows with three columns for the student and five for the teacher,
    and their positions."""
    student, teacher = Columns(0, 3), Columns(3, 8)
    watch = Watch(ComposedLoss(None, 1.0, [(1.0, term)]), student, teacher, Ranks())
    nothing, found = torch.empty(0), []
    with watch.looking():
        for inputs, positions in steps:
            batch = Batch(nothing, nothing, nothing, torch.tensor(positions))
            found.append(watch.value(inputs, student(inputs), batch, 0.0))
    return found


def contrast_term(
    dims: int = 4, temperature: float = 0.2, negatives: int = 6, rows: int = 12
) -> Contrast:
    torch.manual_seed(0)
    taps = Tap("layer"), Tap("layer")
    return Contrast(taps, (3, 5), dims, temperature, negatives, rows).double()


def test_contrast_with_its_memory_agrees_with_an_independent_reference() -> None:
    known = GOLDEN["crd"]
    term = contrast_term()
    with torch.no_grad():
        for parameter, name in zip(term.parameters(), ("w_s", "b_s", "w_t", "b_t"), strict=True):
            parameter.copy_(torch.tensor(known["setting"][name]))
    steps = [
        (
            torch.tensor(np.hstack([step["student"], step["teacher"]])),
            step["positions"],
        )
        for step in known["steps"]
    ]
    found = [value.item() for value in contrasts(term, steps)]
    assert found == pytest.approx(known["losses"], rel=1e-5)


def test_contrast_is_least_where_a_row_is_like_itself_and_unlike_others() -> None:
    same = torch.eye(3, dtype=torch.bool)
    good = contrast(torch.where(same, 5.0, -5.0), same, ~same, population=30)
    bad = contrast(torch.where(same, -5.0, 5.0), same, ~same, population=30)
    assert (good >= 0).all()
    assert (good < 0.2).all()
    assert (bad > 5).all()


@pytest.mark.parametrize("temperature", [0.001, 0.07, 100.0])
def test_contrast_of_extreme_layers_is_finite(temperature: float) -> None:
    term = contrast_term(temperature=temperature)
    rows = torch.tensor([[1e4] * 8, [-1e4] * 8, [0.0] * 8, [1e4] * 8], dtype=torch.float64)
    for value in contrasts(term, [(rows, [0, 1, 2, 3]), (rows.flip(0), [4, 5, 6, 0])]):
        (gradient,) = torch.autograd.grad(value, [term.get_parameter("_projections.0.weight")])
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_contrast_never_tells_a_row_from_itself() -> None:
    """Of one row there is no other, in its batch or in the memory."""
    inputs = layer(1, 1, 8)
    found = [value.item() for value in contrasts(contrast_term(), [(inputs, [3])] * 3)]
    assert found == pytest.approx([0, 0, 0], abs=1e-12)


def test_memory_of_contrast_has_the_last_rows_and_grows_no_further() -> None:
    term = contrast_term(negatives=5)
    contrasts(term, [(layer(start, 3, 8), [start, start + 1, start + 2]) for start in (0, 3, 6)])
    assert sorted(term.remembered.tolist()) == [4, 5, 6, 7, 8]
    assert term.memory.shape == (2, 5, 4)
    contrasts(term, [(layer(9, 7, 8), list(range(7)))])
    assert sorted(term.remembered.tolist()) == [2, 3, 4, 5, 6]
