"""What an arm may choose among: lengths of training, and settings of its loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.shared.recipe.objectives import (
    Dist,
    Kd,
    ObjectiveSpec,
    PseudoLabel,
    Schedule,
    misfit,
)
from components.shared.recipe.student import LearningSpec
from components.shared.recipe.training import StudentTrainingSpec

_EPOCHS = 25
_FEWEST, _MOST = 1600, 10_000
_LONGER = 4


@dataclass(frozen=True)
class Choice:
    """One candidate: a length, and the settings of the loss where the arm has any."""

    steps: int
    objectives: tuple[ObjectiveSpec, ...] = ()
    temperature: float | Schedule | None = None
    """None where no objective follows it."""
    weight: float = 1.0


def lengths(training: StudentTrainingSpec, rows: int, of: int | None = None) -> list[int]:
    """Candidate lengths in optimizer steps, shortest first.

    They are the recipe's; where it has none, 25 epochs and four times as many, with at least 1,600
    steps for the former and, unless it takes more to see every row once, at most 10,000. Labels
    alone may need less, a quarter; where they are few, they need no more than the former.

    Args:
        training: how student and baselines are trained.
        rows: number of training rows.
        of: for labels alone, how many rows the other arms have.
    """
    if training.steps is not None:
        return sorted(training.steps)
    epoch = max(1, rows // min(training.batch_size, rows))
    base = max(_FEWEST, min(_EPOCHS * epoch, _MOST), epoch)
    if of is None:
        return [base, _LONGER * base]
    few = _LONGER * rows < of
    return [base // _LONGER, base] if few else [base // _LONGER, base, _LONGER * base]


def settings(distillation: LearningSpec, steps: Sequence[int]) -> list[Choice]:
    """The student's candidates in order of preference: shorter first, then as in the recipe."""
    return [
        Choice(length, tuple(distillation.objectives), temperature, weight)
        for length in steps
        for temperature in distillation.temperatures
        for weight in distillation.weights
    ]


def searched(classes: int, steps: int) -> list[Choice]:
    """What ``method: auto`` tries on these classes, in order of preference, at one length.

    The order decides where held-out rows cannot: agreement with the teacher favours what imitates
    its mistakes too, over correlations (Huang et al., arXiv 2205.10536), which a smaller student
    follows more easily.
    """
    tried = [
        Choice(steps, (Dist(kind="dist"),), temperature=2.0, weight=0.9),
        Choice(steps, (Kd(kind="kd"),), temperature=2.0, weight=0.9),
        Choice(steps, (Kd(kind="kd"),), temperature=1.0, weight=1.0),
        Choice(steps, (PseudoLabel(kind="pseudo_label"),), weight=1.0),
    ]
    return [one for one in tried if misfit(one.objectives, classes, complete=False) is None]
