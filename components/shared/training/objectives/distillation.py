"""The loss of a distillation: cross-entropy with the labels, and the objectives of its method."""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import assert_never

import torch
from torch import Tensor

from components.shared.recipe.objectives import (
    Dist,
    Dkd,
    Kd,
    LogitMse,
    PseudoLabel,
    ResponseSpec,
    SoftCrossEntropy,
)
from components.shared.recipe.schedules import Schedule, value_at
from components.shared.training.objectives.correlations import Relations
from components.shared.training.objectives.labels import label_entropy
from components.shared.training.objectives.response import (
    decoupled_divergence,
    pseudo_label_entropy,
    soft_cross_entropy,
    soft_label_divergence,
    squared_distance,
)
from components.shared.training.objectives.standardising import standardised
from components.shared.training.rows import Batch


@dataclass(frozen=True)
class DistillationLoss:
    """(1 - weight) · CE + weight · Σ objectives, averaged over the rows of the batch.

    Rows without a label have no first term, and mixed rows have that of both labels. Both terms are
    divided by the number of all rows, so that the loss of a batch is the mean over its
    microbatches, but for the classes' correlations of DIST. Logits of less than single precision
    are widened first.
    """

    objectives: tuple[ResponseSpec, ...]
    """None where ``weight`` is below 1 and all else is minimised elsewhere."""
    weight: float
    """Share of the teacher, 0 to 1."""
    temperature: float | Schedule | None = None
    """Of those objectives that have none of their own; None stands for 1."""

    def __call__(self, logits: Tensor, batch: Batch, progress: float) -> Tensor:
        """The loss of a batch.

        Args:
            logits: the student's, shape (rows, classes).
            batch: its labels and the teacher's logits.
            progress: share of the training's steps that is done, 0 to 1, for the schedules.
        """
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        soft = [
            value_at(objective.weight, progress) * self._of(objective, logits, batch, progress)
            for objective in self.objectives
        ]
        parts = [self.weight * reduce(add, soft)] if soft else []
        if self.weight < 1:
            parts.append((1 - self.weight) * label_entropy(logits, batch))
        return torch.mean(reduce(add, parts))

    def _of(self, objective: ResponseSpec, logits: Tensor, batch: Batch, progress: float) -> Tensor:
        """One objective's value for each row, shape (rows,)."""
        teacher = batch.teacher_logits
        if isinstance(objective, LogitMse):
            return squared_distance(logits, teacher)
        if isinstance(objective, PseudoLabel):
            return pseudo_label_entropy(logits, teacher, objective.threshold)
        own = self.temperature if objective.temperature is None else objective.temperature
        temperature = 1.0 if own is None else value_at(own, progress)
        if objective.standardise:
            logits, teacher = standardised(logits), standardised(teacher)
        match objective:
            case Kd():
                return soft_label_divergence(logits, teacher, temperature)
            case SoftCrossEntropy():
                return soft_cross_entropy(logits, teacher, temperature)
            case Dkd():
                parts = decoupled_divergence(logits, teacher, _classes_of(batch), temperature)
                return objective.alpha * parts.target + objective.beta * parts.others
            case Dist():
                relations = Relations(logits, teacher, temperature)
                rows, classes = relations.of_rows(), relations.of_classes()
                return objective.beta * rows + objective.gamma * classes
            case _:
                assert_never(objective)


def _classes_of(batch: Batch) -> Tensor:
    """The label of each row, or the teacher's first choice where there is none or there are two."""
    if batch.mixed is not None:
        return batch.teacher_logits.argmax(dim=1)
    return torch.where(batch.labels >= 0, batch.labels, batch.teacher_logits.argmax(dim=1))
