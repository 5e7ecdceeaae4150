"""The loss of a method some objectives of which look at more of a step than logits."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

from torch import Tensor, nn

from components.shared.recipe.schedules import Scheduled, value_at
from components.shared.training.hidden import Tap
from components.shared.training.objectives.distillation import DistillationLoss
from components.shared.training.step import Step, StepLoss


class Apart(NamedTuple):
    """What a term is whose companions learn for themselves: two scalars."""

    student: Tensor
    """What the student minimises, by the weights of the term."""
    companions: Tensor
    """What the companions minimise, whatever the term weighs; no gradient goes to the student."""


class Term(nn.Module):
    """One objective that looks at more of a step than logits, and may have parameters of its own
    and buffers: companions, as :class:`StepLoss` says."""

    student_taps: tuple[Tap, ...] = ()
    """Where it looks inside the student."""
    teacher_taps: tuple[Tap, ...] = ()
    """Where it looks inside the teacher."""

    def forward(self, step: Step) -> Tensor | Apart:
        """The mean over the rows of the whole batch, a scalar, the same on all ranks."""
        raise NotImplementedError


class ComposedLoss(StepLoss):
    """What :class:`DistillationLoss` makes of logits, plus the weighted sum of terms, and
    what companions minimise for themselves."""

    def __init__(
        self,
        plain: DistillationLoss | None,
        weight: float,
        terms: Sequence[tuple[Scheduled, Term]],
    ) -> None:
        """Compose the loss.

        Args:
            plain: cross-entropy with the labels, and objectives that compare logits; None where
                there is neither.
            weight: share of the teacher, 0 to 1, by which all terms are multiplied.
            terms: with the factor of each.
        """
        super().__init__()
        self._plain, self._weight = plain, weight
        self._factors = [factor for factor, _ in terms]
        self._terms = [term for _, term in terms]
        self._companions = nn.ModuleList(self._terms)

    @property
    def student_taps(self) -> tuple[Tap, ...]:
        """Where any of the terms looks inside the student."""
        return _all(term.student_taps for term in self._terms)

    @property
    def teacher_taps(self) -> tuple[Tap, ...]:
        """Where any of the terms looks inside the teacher."""
        return _all(term.teacher_taps for term in self._terms)

    def forward(self, step: Step) -> Tensor:
        """The loss of a batch, a scalar."""
        parts: list[Tensor] = []
        for factor, term in zip(self._factors, self._terms, strict=True):
            found = term(step)
            value = found.student if isinstance(found, Apart) else found
            parts.append(self._weight * value_at(factor, step.progress) * value)
            if isinstance(found, Apart):
                parts.append(found.companions)
        if self._plain:
            parts.insert(0, self._plain(step.logits, step.batch, step.progress))
        return reduce(add, parts)


def _all(taps: Iterable[tuple[Tap, ...]]) -> tuple[Tap, ...]:
    return tuple(dict.fromkeys(tap for some in taps for tap in some))
