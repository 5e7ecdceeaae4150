"""Networks as a user's own module may have them: some to distil, and some that must be refused."""

from collections.abc import Callable
from subprocess import run  # noqa: F401 - what else a module may hold

import numpy as np
import torch
from torch import Tensor, nn


class SmallCnn(nn.Module):
    """A convolution whose filters are used twice; the last layer is listed first."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, width: int = 16) -> None:
        super().__init__()
        self.head = nn.Linear(width, classes)
        self.rise = nn.Conv2d(input_shape[0], width, kernel_size=3, padding=1)
        self.mix = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.again = self.mix

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.mix(torch.relu(self.rise(images))))
        return self.head(torch.relu(self.again(features)).mean(dim=(2, 3)))


class AsItIs(nn.Sequential):
    """Layers that stay in evaluation mode, as those of a pretrained encoder may."""

    def train(self, mode: bool = True) -> "AsItIs":
        del mode
        return super().train(False)


def over_what_stays(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A layer that learns, behind dropout and a batch normalisation that do nothing."""
    channels, height, width = input_shape
    features = 4 * (height - 2) * (width - 2)
    below = [nn.Conv2d(channels, 4, kernel_size=3), nn.BatchNorm2d(4), nn.Dropout(0.4)]
    return nn.Sequential(AsItIs(*below), nn.Flatten(), nn.Linear(features, classes))


def words(input_shape: tuple[int, ...], classes: int, vocabulary: int, dims: int) -> nn.Module:
    """The mean of vectors of tokens."""
    del input_shape

    class Mean(nn.Module):
        def forward(self, vectors: Tensor) -> Tensor:
            return vectors.mean(dim=1)

    return nn.Sequential(nn.Embedding(vocabulary, dims), Mean(), nn.Linear(dims, classes))


class Computing(nn.Module):
    """A layer, and what is done with what it gives."""

    def __init__(self, shape: tuple[int, ...], classes: int, change: Callable[[Tensor], object]):
        super().__init__()
        self.layer = nn.Linear(int(np.prod(shape)), classes)
        self.change = change

    def forward(self, rows: Tensor) -> object:
        return self.change(self.layer(rows.flatten(start_dim=1)))


def computing(input_shape: tuple[int, ...], classes: int, what: str) -> nn.Module:
    """A network that does what no student may."""
    changes: dict[str, Callable[[Tensor], object]] = {
        "tuple": lambda logits: (logits, logits),
        "features": lambda logits: logits[:, :-1],
        "double": lambda logits: logits.double(),
        "infinite": lambda logits: logits / 0,
        "batch": lambda logits: logits - logits.mean(dim=0),
        "detached": lambda logits: logits.detach().requires_grad_(),
        "count": lambda logits: logits * len(logits),
        "python": lambda logits: torch.stack([-row if row[0] > 0 else row for row in logits]),
        "squeezed": lambda logits: logits.squeeze(),
        "eigenvalues": lambda logits: (
            logits + torch.linalg.eigvals(torch.eye(2) + 0 * logits.sum()).real.sum()
        ),
        "fails": lambda logits: logits @ logits,
    }
    return Computing(input_shape, classes, changes[what])


def unseeded(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Weights that torch's seed does not decide."""
    layer = nn.Linear(int(np.prod(input_shape)), classes)
    drawn = np.random.default_rng().normal(size=layer.weight.shape)
    layer.weight.data = torch.from_numpy(drawn).float()
    return nn.Sequential(nn.Flatten(), layer)


def nothing(input_shape: tuple[int, ...], classes: int) -> str:
    """No network at all."""
    return f"{input_shape} {classes}"
