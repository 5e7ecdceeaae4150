"""Exits of the student that its deepest one teaches, as a term of a loss."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from components.shared.recipe.schedules import Schedule, value_at
from components.shared.training.hidden import Tap
from components.shared.training.objectives.composing import Term
from components.shared.training.objectives.labels import label_entropy
from components.shared.training.objectives.layers import placed, widened
from components.shared.training.objectives.response import soft_label_divergence
from components.shared.training.rows import Batch
from components.shared.training.step import Step


def exit_losses(
    exits: Sequence[Tensor], deepest: Tensor, batch: Batch, alpha: float, temperature: float
) -> Tensor:
    """Self-distillation, Zhang et al., arXiv 1905.08094, equation 6 without its last term.

    It is the sum over the exits of (1 - alpha) · CE(labels) + alpha · T² · KL(deepest ‖ exit),
    through which no gradient goes to the deepest. Of rows without a label the cross-entropy is 0,
    and both are divided by the number of all rows.

    Args:
        exits: logits of each, shape (rows, classes).
        deepest: logits of the whole network, of that shape.
        batch: the labels.
        alpha: share of the divergence, 0 to 1.
        temperature: T > 0.

    Returns:
        A scalar, at least 0.
    """
    target = deepest.detach()
    losses = [
        (1 - alpha) * label_entropy(logits, batch).mean()
        + alpha * soft_label_divergence(logits, target, temperature).mean()
        for logits in exits
    ]
    return torch.stack(losses).sum()


class ExitsTerm(Term):
    """Classifiers after layers of the student, which learn from its own logits."""

    def __init__(
        self,
        layers: Mapping[Tap, Tensor],
        classes: int,
        alpha: float,
        temperature: float | Schedule,
    ) -> None:
        """Make the term.

        Args:
            layers: after which the exits are, with what they put out for some rows.
            classes: how many logits an exit puts out.
            alpha: share of the divergence.
            temperature: of the probabilities.
        """
        super().__init__()
        self.student_taps = tuple(layers)
        widths = [placed(output).shape[2] for output in layers.values()]
        self._heads = nn.ModuleList(nn.Linear(width, classes) for width in widths)
        self._alpha, self._temperature = alpha, temperature

    def forward(self, step: Step) -> Tensor:
        """The mean over the rows of the whole batch, a scalar."""
        exits = [
            widened(step.whole(head(placed(step.hidden[tap]).mean(dim=1))))
            for tap, head in zip(self.student_taps, self._heads, strict=True)
        ]
        temperature = value_at(self._temperature, step.progress)
        return exit_losses(exits, widened(step.logits), step.batch, self._alpha, temperature)
