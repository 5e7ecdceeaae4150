"""Networks that learn beside the student, as terms of a loss."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from components.shared.recipe.schedules import Schedule, value_at
from components.shared.training.objectives.composing import Apart, Term
from components.shared.training.objectives.labels import label_entropy
from components.shared.training.objectives.layers import widened
from components.shared.training.objectives.response import soft_label_divergence
from components.shared.training.rows import Batch
from components.shared.training.step import Step


def mutual_losses(
    student: Tensor, peers: Sequence[Tensor], batch: Batch, temperature: float
) -> Apart:
    """Deep mutual learning, Zhang et al., arXiv 1706.00384, equations 8 and 9 (for several).

    Each network has the mean over all others of T² · KL(other ‖ itself), through which no gradient
    goes to the other; the peers have the cross-entropy with the labels too. Of rows without a label
    that is 0, and both are divided by the number of all rows.

    Args:
        student: logits, shape (rows, classes).
        peers: those of one network or several, each of that shape.
        batch: the labels.
        temperature: T > 0.

    Returns:
        The student's divergence, and the sum of what the peers minimise.
    """
    networks = [student, *peers]
    divergences = [
        torch.stack(
            [
                soft_label_divergence(own, other.detach(), temperature).mean()
                for other in networks
                if other is not own
            ]
        ).mean()
        for own in networks
    ]
    entropies = [label_entropy(peer, batch).mean() for peer in peers]
    return Apart(divergences[0], torch.stack([*divergences[1:], *entropies]).sum())


def taught_losses(student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Apart:
    """KD from a teacher that learns at the same time, Hinton et al., arXiv 1503.02531.

    The student has T² · KL(teacher ‖ student), through which no gradient goes to the teacher; the
    teacher has the cross-entropy with the labels. Of rows without a label that is 0, and both are
    divided by the number of all rows.

    Args:
        student: logits, shape (rows, classes).
        teacher: those of the other network, of that shape.
        batch: the labels.
        temperature: T > 0.

    Returns:
        The student's divergence, and the teacher's cross-entropy.
    """
    divergence = soft_label_divergence(student, teacher.detach(), temperature)
    return Apart(divergence.mean(), label_entropy(teacher, batch).mean())


class MutualTerm(Term):
    """Peers that the student learns with."""

    def __init__(self, peers: Sequence[nn.Module], temperature: float | Schedule) -> None:
        """Make the term.

        Args:
            peers: each with initial weights of its own.
            temperature: of the probabilities.
        """
        super().__init__()
        self._peers, self._temperature = nn.ModuleList(peers), temperature

    def forward(self, step: Step) -> Apart:
        """What student and peers minimise, each the mean over the rows of the whole batch."""
        peers = [widened(step.run(peer)) for peer in self._peers]
        temperature = value_at(self._temperature, step.progress)
        return mutual_losses(widened(step.logits), peers, step.batch, temperature)


class OnlineTeacherTerm(Term):
    """A teacher that learns while it teaches."""

    def __init__(self, teacher: nn.Module, temperature: float | Schedule) -> None:
        """Make the term.

        Args:
            teacher: with initial weights.
            temperature: of the probabilities.
        """
        super().__init__()
        self._teacher, self._temperature = teacher, temperature

    def forward(self, step: Step) -> Apart:
        """What student and teacher minimise, each the mean over the rows of the whole batch."""
        teacher = widened(step.run(self._teacher))
        temperature = value_at(self._temperature, step.progress)
        return taught_losses(widened(step.logits), teacher, step.batch, temperature)
