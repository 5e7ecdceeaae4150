"""Objectives that look inside student and teacher, as terms of a loss."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from components.shared.training.hidden import Tap
from components.shared.training.objectives.composing import Term
from components.shared.training.objectives.layers import aligned, widened
from components.shared.training.step import Step


class Layers(NamedTuple):
    """A layer of the student, and the one of the teacher that it is compared with."""

    student: Tap
    teacher: Tap


class _OfLayers(Term):
    def __init__(self, pairs: Sequence[Layers]) -> None:
        super().__init__()
        self._pairs = tuple(pairs)
        self.student_taps = tuple(pair.student for pair in pairs)
        self.teacher_taps = tuple(pair.teacher for pair in pairs)


class RowByRow(_OfLayers):
    """The sum over pairs of layers of a distance that each row has."""

    def __init__(
        self,
        pairs: Sequence[Layers],
        distance: Callable[[Tensor, Tensor], Tensor],
        projections: Sequence[nn.Module],
    ) -> None:
        """Make the term.

        Args:
            pairs: what is compared.
            distance: of layers (rows, places, width), of the student and of the teacher; one value
                a row.
            projections: what is done to the student's layer first, by pair.
        """
        super().__init__(pairs)
        self._distance, self._projections = distance, nn.ModuleList(projections)

    def forward(self, step: Step) -> Tensor:
        """The mean over the rows, a scalar."""
        distances = []
        for pair, projection in zip(self._pairs, self._projections, strict=True):
            student, teacher = aligned(step.hidden[pair.student], step.teacher.hidden[pair.teacher])
            distances.append(self._distance(widened(projection(student)), teacher))
        return step.whole(torch.stack(distances).sum(dim=0)).mean()


class AmongRows(_OfLayers):
    """The sum over pairs of layers of a relation that looks across the rows of a batch."""

    def __init__(
        self, pairs: Sequence[Layers], relation: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        """Make the term.

        Args:
            pairs: what is compared.
            relation: of layers (rows, width), of the student and of the teacher; a scalar.
        """
        super().__init__(pairs)
        self._relation = relation

    def forward(self, step: Step) -> Tensor:
        """The relation of the whole batch, a scalar."""
        relations = [
            self._relation(
                step.whole(widened(step.hidden[pair.student].flatten(1))),
                step.whole(widened(step.teacher.hidden[pair.teacher].flatten(1))),
            )
            for pair in self._pairs
        ]
        return torch.stack(relations).sum()
