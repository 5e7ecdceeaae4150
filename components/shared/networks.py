"""The built-in model families, with preprocessing as their first layer."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from components.shared.preprocessing import Preprocessing
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.recipe.models import CnnSpec, MlpSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_POOL_ABOVE = 8
"""Feature maps wider than this are halved after every convolution, others only at the end."""


class Standardise(nn.Module):
    """(x - mean) / std over columns (tabular) or channels (images)."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.input_shape = input_shape
        shape = (1, -1, *[1] * (len(input_shape) - 1))
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(shape))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardise raw inputs of shape (rows, \\*input shape)."""
        return (inputs - self.mean) / self.std


class Classifier(nn.Module):
    """Raw features in, logits out."""

    def __init__(self, preprocess: Standardise, body: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.body = body

    @classmethod
    def build(
        cls,
        spec: MlpSpec | CnnSpec,
        input_spec: TabularInput | ImageInput,
        preprocessing: Preprocessing,
        classes: int,
    ) -> "Classifier":
        """A freshly initialised model; initial weights follow torch's global seed."""
        shape = input_spec.shape
        body = _mlp(spec, shape, classes) if spec.family == "mlp" else _cnn(spec, shape, classes)
        return cls(Standardise(preprocessing, shape), body)

    @property
    def parameter_count(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (rows, classes), for raw inputs of shape (rows, \\*input shape)."""
        logits: Tensor = self.body(self.preprocess(inputs))
        return logits


def _mlp(spec: MlpSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
    features = int(torch.Size(shape).numel())
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise([features, *spec.hidden]):
        layers += [nn.Linear(before, after), _ACTIVATIONS[spec.activation]()]
        if spec.dropout:
            layers.append(nn.Dropout(spec.dropout))
    return nn.Sequential(*layers, nn.Linear(spec.hidden[-1], classes))


def _cnn(spec: CnnSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
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
