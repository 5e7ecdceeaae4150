"""Objectives for which other networks learn at the same time, as a recipe writes them, by kind.

The formulas are in :mod:`components.shared.training.objectives`.
"""

from typing import Literal

from components.shared.formatting import counted
from components.shared.recipe.base import PositiveInt
from components.shared.recipe.models import BuiltInSpec
from components.shared.recipe.objective import Objective
from components.shared.recipe.schedules import Temperature, shown


class Mutual(Objective):
    """Deep mutual learning (Zhang et al., arXiv 1706.00384): the mean divergence of the student's
    probabilities from those of its peers, which learn from the labels, and from each other and the
    student, at the same time."""

    kind: Literal["mutual"]
    peers: PositiveInt = 1
    """Networks that learn beside the student; there is one more than that in all."""
    model: BuiltInSpec | None = None
    """Of each peer; by default the student's. Initial weights are its own."""
    temperature: Temperature = 1.0
    """Of all probabilities that are compared."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        notes = [counted(self.peers, "peer")]
        if self.model:
            notes.append(self.model.family)
        if self.temperature != 1:
            notes.append(f"temperature {shown(self.temperature)}")
        return f"mutual learning ({', '.join(notes)})"


class OnlineTeacher(Objective):
    """KD from a teacher that learns from the labels at the same time, and nothing from the student:
    its probabilities are those of the step (Zhang et al., arXiv 1706.00384, one way alone)."""

    kind: Literal["online_teacher"]
    model: BuiltInSpec
    """Of that teacher; larger than the student."""
    temperature: Temperature | None = None
    """By default that of ``distillation.temperature``."""

    @property
    def follows_temperature(self) -> bool:
        """Whether it is computed at ``distillation.temperature``."""
        return self.temperature is None

    @property
    def described(self) -> str:
        """What a report calls it."""
        at = "" if self.temperature is None else f", temperature {shown(self.temperature)}"
        return f"KD from a teacher that learns at the same time ({self.model.family}{at})"
