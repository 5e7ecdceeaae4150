"""Networks of plain layers: fully connected, convolutional, and the bag of tokens."""

from collections.abc import Sequence
from itertools import pairwise, starmap

import torch
from torch import Tensor, nn

from components.shared.recipe.models import BagSpec, CnnSpec, MlpSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_POOL_ABOVE = 8
"""Feature maps wider than this are halved after every convolution, others only at the end."""


def mlp(spec: MlpSpec, shape: tuple[int, ...], classes: int, rare: Sequence[int] = ()) -> nn.Module:
    """Logits of rows of ``shape``; ``rare`` as for :func:`layer_of_rows`."""
    first = layer_of_rows(shape, spec.hidden[0], rare)
    *further, last = starmap(nn.Linear, pairwise([*spec.hidden, classes]))
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in [first, *further]:
        layers += [layer, _ACTIVATIONS[spec.activation]()]
        if spec.dropout:
            layers.append(nn.Dropout(spec.dropout))
    return nn.Sequential(*layers, last)


def layer_of_rows(shape: tuple[int, ...], width: int, rare: Sequence[int]) -> nn.Linear:
    """The first layer of a network that takes flattened rows.

    Args:
        shape: of a row.
        width: what it puts out.
        rare: places in a row that it starts without weight on, so that what training never saw
            changes nothing.
    """
    layer = nn.Linear(int(torch.Size(shape).numel()), width)
    with torch.no_grad():
        layer.weight[:, list(rare)] = 0
    return layer


def cnn(spec: CnnSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Logits of images of ``shape``: channels, height, width."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for position, (before, after) in enumerate(pairwise([channels, *spec.channels])):
        layers += [
            nn.Conv2d(before, after, kernel_size=3, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        last = position == len(spec.channels) - 1
        if (last or min(height, width) > _POOL_ABOVE) and min(height, width) > 1:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(spec.channels[-1] * height * width, spec.hidden),
        nn.ReLU(),
        nn.Linear(spec.hidden, classes),
    )


def bag(spec: BagSpec, vocabulary: int, classes: int) -> nn.Module:
    """Logits of token ids, shape (rows, length)."""
    layers: list[nn.Module] = [MeanOfTokens(vocabulary, spec.dims)]
    if spec.dropout:
        layers.append(nn.Dropout(spec.dropout))
    widths = [spec.dims, *spec.hidden]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), _ACTIVATIONS[spec.activation]()]
        if spec.dropout:
            layers.append(nn.Dropout(spec.dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


class MeanOfTokens(nn.Module):
    """The mean of the vectors of a row's tokens; zero for a row without any.

    Vectors start as zero, so that a token that training never saw changes nothing. It is what
    ``nn.EmbeddingBag`` computes, in operators that the exporter knows.
    """

    def __init__(self, vocabulary: int, dims: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, dims, padding_idx=0)
        nn.init.zeros_(self.vectors.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Shape (rows, dims), for ids of shape (rows, length), 0 for padding."""
        tokens = (ids > 0).to(self.vectors.weight.dtype).sum(dim=1, keepdim=True)
        mean: Tensor = self.vectors(ids).sum(dim=1) / tokens.clamp(min=1)
        return mean
