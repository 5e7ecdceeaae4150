"""The residual network for tables: it computes the paper's formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ResidualMlpSpec, TabularInput, load_recipe
from tests.command_line import DIGITS

NAN = float("nan")


def build(columns: int, **fields: object) -> Classifier:
    """One whose running statistics are not those of the start, in evaluation mode."""
    torch.manual_seed(0)
    spec = ResidualMlpSpec.model_validate({"family": "residual_mlp", **fields})
    scale = Preprocessing(mean=[2.0] * columns, std=[4.0] * columns)
    names = [f"c{column}" for column in range(columns)]
    network = Classifier.build(spec, TabularInput(columns=names), scale, 3)
    network(rows_of(columns, 64))
    return network.eval()


def rows_of(columns: int, rows: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(1)) * 5


def formula(state: dict[str, np.ndarray], blocks: int, inputs: np.ndarray) -> np.ndarray:
    """ResNet(x) of section 3.2, on standardised rows, as numpy computes it."""

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - state[f"{name}.running_mean"]
        scaled = centred / np.sqrt(state[f"{name}.running_var"] + 1e-5)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = linear("body.1", (inputs - 2) / 4)
    for block in range(2, 2 + blocks):
        inner = np.maximum(
            linear(f"body.{block}.residual.1", norm(f"body.{block}.residual.0", x)), 0
        )
        x = x + linear(f"body.{block}.residual.4", inner)
    return linear(f"body.{blocks + 4}", np.maximum(norm(f"body.{blocks + 2}", x), 0))


@settings(max_examples=12)
@given(
    st.integers(1, 9), st.integers(1, 12), st.integers(1, 3), st.integers(1, 12), st.integers(1, 5)
)
def test_logits_are_those_of_the_formula(
    columns: int, width: int, blocks: int, hidden: int, rows: int
) -> None:
    network = build(columns, width=width, blocks=blocks, hidden=hidden, dropout=0.4)
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    inputs = rows_of(columns, rows)
    expected = formula(state, blocks, inputs.double().numpy())
    np.testing.assert_allclose(network(inputs).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_parameters_are_counted() -> None:
    block = 2 * 8 + (8 * 20 + 20) + (20 * 8 + 8)
    network = build(5, width=8, blocks=3, hidden=20)
    assert network.parameter_count == (5 * 8 + 8) + 3 * block + 2 * 8 + (8 * 3 + 3)


def test_dropout_is_for_training_alone() -> None:
    network, rows = build(5, dropout=0.5), rows_of(5, 8)
    assert torch.equal(network(rows), network(rows))
    network.train()
    assert not torch.equal(network(rows), network(rows))


def test_category_that_training_never_saw_changes_nothing_before_it_is_learned() -> None:
    colours = {"name": "colour", "kind": "categorical", "categories": ["red", "green"]}
    spec = TabularInput.model_validate({"columns": ["age", colours]})
    torch.manual_seed(0)
    scale = Preprocessing(mean=[0.0] * 2, std=[1.0] * 2)
    network = Classifier.build(ResidualMlpSpec(family="residual_mlp"), spec, scale, 3).eval()
    red, other, missing = network(torch.tensor([[3.0, 0.0], [3.0, 9.0], [3.0, NAN]]))
    torch.testing.assert_close(other, missing)
    assert not torch.allclose(red, other)


def test_batch_of_one_row_is_refused() -> None:
    model = "student.model={family: residual_mlp}"
    assert load_recipe(DIGITS, [model, "student.training.batch_size=2"]).student.model.blocks == 2
    with pytest.raises(UserError, match=r"student.training.batch_size is 1, .* give 2 or more"):
        load_recipe(DIGITS, [model, "student.training.batch_size=1"])
