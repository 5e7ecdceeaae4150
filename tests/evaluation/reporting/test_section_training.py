"""What the report calls a network."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from components.evaluation.reporting.section_training import describe_network
from components.shared.recipe import ModelSpec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"family": "mlp", "hidden": [64, 32]}, "MLP, hidden 64-32, gelu"),
        (
            {"family": "residual_mlp", "width": 8, "blocks": 1, "hidden": 16},
            "Residual MLP, width 8, blocks 1, hidden 16",
        ),
        ({"family": "cnn", "channels": 8, "hidden": 4}, "CNN, channels 8, hidden 4"),
        ({"family": "resnet", "channels": [8, 16]}, "ResNet, channels 8-16, blocks 2-2"),
        (
            {"family": "mobilenet", "channels": [8, 16], "blocks": [1, 2], "width": 0.5},
            "MobileNetV2, channels 8-16, blocks 1-2, expansion 4, width 0.5",
        ),
        (
            {"family": "mobilenet", "channels": 8, "blocks": 1},
            "MobileNetV2, channels 8, blocks 1, expansion 4",
        ),
        ({"family": "bag", "dims": 8}, "Bag of tokens, vectors of 8"),
        (
            {"family": "bag", "dims": 8, "hidden": 4, "activation": "relu"},
            "Bag of tokens, vectors of 8, hidden 4, relu",
        ),
        (
            {"family": "transformer", "dims": 8, "layers": 1, "heads": 2, "hidden": 16},
            "Transformer, vectors of 8, layers 1, heads 2, hidden 16",
        ),
    ],
    ids=str,
)
def test_network_is_described_by_family_and_sizes(spec: dict[str, Any], words: str) -> None:
    model: ModelSpec = TypeAdapter(ModelSpec).validate_python(spec)
    assert describe_network(model) == words
