"""Residual networks for images: basic blocks, and MobileNetV2's inverted residuals."""

from torch import Tensor, nn

from components.shared.recipe.models import MobileNetSpec, ResNetSpec

_MULTIPLE = 8
"""Channels that were made more or fewer by a width are a multiple of this."""


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


class InvertedResidual(nn.Module):
    """More channels, a 3x3 convolution of each on its own, and fewer again, Sandler et al., arXiv
    1801.04381, table 1; what comes in is added where the shape stays (figure 4d there).

    The last convolution has no activation: it would lose what few channels hold (section 3.2).
    """

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        expand = [*_convolution(before, inside, kernel=1), nn.ReLU6()] if expansion > 1 else []
        self.residual = nn.Sequential(
            *expand,
            *_convolution(inside, inside, kernel=3, stride=stride, groups=inside),
            nn.ReLU6(),
            *_convolution(inside, after, kernel=1),
        )
        self.adds = before == after and stride == 1
        """Whether there is a shortcut."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature maps, (rows, before, height, width) to (rows, after, height / stride, ...)."""
        outputs: Tensor = self.residual(inputs)
        return inputs + outputs if self.adds else outputs


def _convolution(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = kernel // 2
    return [
        nn.Conv2d(before, after, kernel, stride=stride, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(after),
    ]


def resnet(spec: ResNetSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Logits of images of ``shape``: channels, height, width."""
    before = spec.channels[0]
    layers: list[nn.Module] = [*_convolution(shape[0], before, kernel=3), nn.ReLU()]
    for stage, (after, blocks) in enumerate(spec.stages):
        for block in range(blocks):
            layers.append(BasicBlock(before, after, stride=2 if stage and not block else 1))
            before = after
    return nn.Sequential(*layers, *_classes_of_maps(before, spec.dropout, classes))


def mobilenet(spec: MobileNetSpec, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Logits of images of ``shape``: channels, height, width."""
    before = scaled_channels(spec.stem, spec.width)
    layers: list[nn.Module] = [*_convolution(shape[0], before, kernel=3), nn.ReLU6()]
    for stage, (channels, blocks) in enumerate(spec.stages):
        after = scaled_channels(channels, spec.width)
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            expansion = spec.expansion if stage else 1
            layers.append(InvertedResidual(before, after, stride, expansion))
            before = after
    head = scaled_channels(spec.head, max(1.0, spec.width))
    layers += [*_convolution(before, head, kernel=1), nn.ReLU6()]
    return nn.Sequential(*layers, *_classes_of_maps(head, spec.dropout, classes))


def scaled_channels(channels: int, width: float) -> int:
    """A layer's channels at a width, by the rule of the paper's own code: the nearest multiple of
    8, and the next one where that would take away more than a tenth.

    Args:
        channels: at a width of 1, where they stay as they are.
        width: above 0.
    """
    exact = channels * width
    if width == 1:
        return channels
    nearest = max(_MULTIPLE, int(exact + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return nearest if nearest >= 0.9 * exact else nearest + _MULTIPLE


def _classes_of_maps(channels: int, dropout: float, classes: int) -> list[nn.Module]:
    return [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(channels, classes),
    ]
