"""Families of models that are trained by the one trainer, twice to the same weights."""

import pytest
import torch

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    HashTokenizer,
    ImageInput,
    MobileNetSpec,
    ModelSpec,
    ResidualMlpSpec,
    TextInput,
    TrainingSpec,
    TransformerSpec,
)
from components.shared.training.objectives import cross_entropy
from components.shared.training.rows import MemoryRows
from components.shared.training.trainer import fit

IMAGE = ImageInput(kind="image", size=[1, 6, 6])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=9))
FAMILIES: list[ModelSpec] = [
    ResidualMlpSpec(family="residual_mlp", width=8, hidden=12, dropout=0.1),
    MobileNetSpec(family="mobilenet", stem=6, channels=[6, 8], blocks=[1, 2], head=12, dropout=0.1),
    TransformerSpec(family="transformer", dims=8, heads=2, layers=1, hidden=12, dropout=0.1),
]
ROWS = 60


@pytest.fixture(autouse=True)
def _repeatable(one_thread: None) -> None:
    torch.use_deterministic_algorithms(True)


def rows_of(model: ModelSpec) -> MemoryRows:
    """Images that are brighter or darker, or texts that hold the token 1 or not."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(ROWS) % 2
    if model.family == "transformer":
        inputs = torch.randint(2, 10, (ROWS, TEXT.length), generator=generator).float()
        inputs[labels == 1, 2] = 1
    else:
        inputs = torch.randn(ROWS, *IMAGE.shape, generator=generator) + labels.view(-1, 1, 1, 1)
    return MemoryRows(inputs, labels, (), torch.arange(ROWS))


def trained(model: ModelSpec) -> tuple[Classifier, float]:
    text = model.family == "transformer"
    scale = [] if text else [1.0]
    torch.manual_seed(0)
    network = Classifier.build(
        model, TEXT if text else IMAGE, Preprocessing(mean=scale, std=scale), 2
    )
    curve = fit(
        network,
        rows_of(model),
        lambda logits, batch, _progress: cross_entropy(logits, batch.labels),
        TrainingSpec(steps=60, batch_size=20, learning_rate=2e-2),
        seed=1,
        label=model.family,
    )
    return network, curve[-1].loss


@pytest.mark.parametrize("model", FAMILIES, ids=lambda model: model.family)
def test_family_learns_and_the_same_seed_gives_the_same_weights(model: ModelSpec) -> None:
    (first, loss), (second, _) = trained(model), trained(model)
    assert loss < 0.35  # log 2 is .69
    rows = rows_of(model)
    with torch.inference_mode():
        right = first(rows.inputs).argmax(dim=1) == rows.targets
    assert right.float().mean() > 0.9
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
