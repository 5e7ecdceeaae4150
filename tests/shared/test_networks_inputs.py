"""What models do with raw rows of tables and texts before anything is learned."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec, TabularInput, TextInput
from components.shared.recipe.models import BagSpec, MlpSpec, ModelSpec
from components.shared.recipe.tokenizers import HashTokenizer

NAN = float("nan")
SCALE = Preprocessing(mean=[10.0, 0.0, 4.0], std=[5.0, 1.0, 2.0])
COLOURS = {"name": "colour", "kind": "categorical", "categories": ["red", "green"]}
TEXT = TextInput(kind="text", length=6, tokenizer=HashTokenizer(buckets=50))


def table(*columns: Any, missing: str = "error") -> TabularInput:
    return TabularInput.model_validate({"columns": list(columns), "missing": missing})


def build(
    spec: InputSpec, model: ModelSpec | None = None, scale: Preprocessing = SCALE
) -> Classifier:
    torch.manual_seed(0)
    return Classifier.build(model or MlpSpec(family="mlp", hidden=[8]), spec, scale, 3).eval()


def prepared(spec: InputSpec, *rows: list[float]) -> list[list[float]]:
    found: list[list[float]] = build(spec).preprocess(torch.tensor(rows)).tolist()
    return found


def test_numbers_are_standardised_and_missing_ones_follow_their_policy() -> None:
    spec = table("age", {"name": "b", "missing": "zero"}, {"name": "c", "missing": "indicator"})
    spec = spec.model_copy(update={"missing": "mean"})
    assert prepared(spec, [20, 3, 8], [NAN, NAN, NAN]) == [[2, 3, 2, 0], [0, 0, 0, 1]]


def test_zero_stands_for_a_missing_number_in_the_units_of_the_data() -> None:
    scale = Preprocessing(mean=[10.0], std=[5.0])
    network = build(table("age", missing="zero"), scale=scale)
    zero, missing = network(torch.tensor([[0.0]])), network(torch.tensor([[NAN]]))
    torch.testing.assert_close(zero, missing)


def test_missing_number_without_a_policy_is_never_taken_for_one() -> None:
    network = build(table("age", COLOURS, {"name": "c", "missing": "mean"}))
    assert network(torch.tensor([[NAN, 0, 4], [10, NAN, NAN]])).isnan().all(dim=1).tolist() == [
        True,
        False,
    ]


def test_category_is_one_of_its_places_or_other_or_missing() -> None:
    spec = table("age", COLOURS)
    rows = [[10.0, code] for code in (0, 1, 2, 17, -1, NAN)]
    assert [row[1:] for row in prepared(spec, *rows)] == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]


def test_column_of_closed_categories_has_no_place_for_others() -> None:
    spec = table({**COLOURS, "unknown": "error"}, "age", COLOURS | {"name": "second"})
    ones = prepared(spec, [1.0, 0.0, 1.0], [2.0, 0.0, 2.0])
    assert [row[1:] for row in ones] == [[0, 1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]]


def test_category_that_training_never_saw_changes_nothing_before_it_is_learned() -> None:
    network = build(table("age", COLOURS))
    other, missing = network(torch.tensor([[3.0, 9.0], [3.0, NAN]]))
    torch.testing.assert_close(other, missing)
    network.body[1].weight.data[:, 1:3] = 0  # as if there were no colours
    torch.testing.assert_close(other, network(torch.tensor([[3.0, 0.0]]))[0])
    assert network.preprocess.rare == [4, 3]


def test_table_of_numbers_starts_from_the_weights_that_it_always_had() -> None:
    """Preprocessing draws no random number, and plain tables keep their layer."""
    network = build(table("a", "b", "c"))
    torch.manual_seed(0)
    first = torch.nn.Linear(3, 8)
    torch.testing.assert_close(network.body[1].weight, first.weight, rtol=0, atol=0)
    assert [*network.state_dict()][:2] == ["preprocess.mean", "preprocess.std"]


def bag(**fields: Any) -> Classifier:
    network = build(TEXT, BagSpec.model_validate({"family": "bag", "dims": 4, **fields}))
    vectors = network.body[0].vectors.weight
    vectors.data[1:] = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    return network


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor([[*row, *[0] * (6 - len(row))] for row in rows], dtype=torch.float32)


def test_text_is_the_mean_of_its_tokens_without_padding() -> None:
    network = bag()
    vectors = network.body[0].vectors.weight
    found = network.body[0](ids([3, 5, 3], [7], []).long())
    expected = [(2 * vectors[3] + vectors[5]) / 3, vectors[7], torch.zeros(4)]
    torch.testing.assert_close(found, torch.stack(expected))


def test_order_of_tokens_does_not_matter_and_every_bucket_has_a_vector() -> None:
    network = bag(hidden=[5])
    first, second = network(ids([1, 2, 50], [50, 1, 2]))
    torch.testing.assert_close(first, second)
    assert network.parameter_count == 51 * 4 + 4 * 5 + 5 + 5 * 3 + 3


def test_token_that_training_never_saw_changes_nothing() -> None:
    network = build(TEXT, BagSpec(family="bag", dims=4))
    outputs = network(ids([1], [2, 3], []))
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])


@pytest.mark.parametrize("hidden", [[], [5, 4]])
def test_bag_learns_which_token_means_which_class(hidden: list[int]) -> None:
    spec = BagSpec(family="bag", dims=4, hidden=hidden)
    torch.manual_seed(0)
    network = Classifier.build(spec, TEXT, Preprocessing(mean=[], std=[]), 3)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 90)
    noise = generator.integers(4, 51, (90, 3))
    rows = ids(*[[int(label) + 1, *more] for label, more in zip(labels, noise, strict=True)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(rows), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(rows).argmax(dim=1).numpy() == labels).mean() > 0.95
    assert not network.body[0].vectors.weight[0].any()


def test_bag_is_refused_what_is_no_text() -> None:
    with pytest.raises(ValueError, match="a bag of tokens takes text, not the columns a"):
        build(table("a"), BagSpec(family="bag"))
