"""The built-in model families, with preprocessing as their first layer."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from components.shared.preprocessing import Preprocessing
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.recipe.models import CnnSpec, MlpSpec, ModelSpec, ResNetSpec

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
        spec: ModelSpec,
        input_spec: TabularInput | ImageInput,
        preprocessing: Preprocessing,
        classes: int,
    ) -> "Classifier":
        """A freshly initialised model; initial weights follow torch's global seed."""
        shape = input_spec.shape
        match spec:
            case MlpSpec():
                body = _mlp(spec, shape, classes)
            case CnnSpec():
                body = _cnn(spec, shape, classes)
            case ResNetSpec():
                body = _resnet(spec, shape, classes)
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


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, He et al., arXiv 1512.03385, figure 2.

    The shortcut is the identity, or a 1x1 convolution where the shape changes (option B there).
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(before, after, kernel=3, stride=stride),
            nn.ReLU(),
            *_convolution(after, after, kernel=3),
        )
        same = before == after and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(*_convolution(before, after, kernel=1, stride=stride))
        )
        self.activation = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature maps, (rows, before, height, width) to (rows, after, height / stride, ...)."""
        outputs: Tensor = self.activation(self.residual(inputs) + self.shortcut(inputs))
        return outputs


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
    ]


def _resnet(spec: ResNetSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
    before = spec.channels[0]
    layers: list[nn.Module] = [*_convolution(shape[0], before, kernel=3), nn.ReLU()]
    for stage, (after, blocks) in enumerate(spec.stages):
        for block in range(blocks):
            layers.append(BasicBlock(before, after, stride=2 if stage and not block else 1))
            before = after
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(before, classes),
    )
