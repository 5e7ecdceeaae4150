"""The residual network for tables."""

from collections.abc import Sequence

from torch import Tensor, nn

from components.shared.networks.layers import layer_of_rows
from components.shared.recipe.models import ResidualMlpSpec


class ResidualBlock(nn.Module):
    """x + Linear(Dropout(ReLU(Linear(BatchNorm(x))))), Gorishniy et al., arXiv 2106.11959, section
    3.2, without the second dropout there."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape (rows, width), as that of ``inputs``."""
        outputs: Tensor = inputs + self.residual(inputs)
        return outputs


def residual_mlp(
    spec: ResidualMlpSpec, shape: tuple[int, ...], classes: int, rare: Sequence[int] = ()
) -> nn.Module:
    """Logits of rows of ``shape``; ``rare`` as for :func:`layer_of_rows`."""
    first = layer_of_rows(shape, spec.width, rare)
    blocks = [ResidualBlock(spec.width, spec.hidden, spec.dropout) for _ in range(spec.blocks)]
    return nn.Sequential(
        nn.Flatten(),
        first,
        *blocks,
        nn.BatchNorm1d(spec.width),
        nn.ReLU(),
        nn.Linear(spec.width, classes),
    )
