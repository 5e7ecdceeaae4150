"""The objective by which a student teaches its own shallow layers, as a recipe writes it.

The formula is in :mod:`components.shared.training.objectives`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.shared.recipe.base import Fraction, repeated
from components.shared.recipe.features import LayerPath
from components.shared.recipe.objective import InsideObjective
from components.shared.recipe.schedules import Temperature, shown


def _each_once(exits: list[str]) -> list[str]:
    if twice := repeated(exits):
        raise ValueError(f"{twice} is listed more than once")
    return exits


class DeeperExit(InsideObjective):
    """Self-distillation (Zhang et al., arXiv 1905.08094, without their hints): classifiers after
    shallow layers, the exits, learn from the labels and from the student's own logits, the deepest
    exit, and so do the layers below them."""

    kind: Literal["deeper_exit"]
    exits: Annotated[list[LayerPath], Field(min_length=1), AfterValidator(_each_once)]
    """Layers of the student, such as ``body.3``. After each there is a fully connected layer over
    the mean of its places, which is trained along and no part of the bundle."""
    alpha: Fraction = 0.3
    """Share of the divergence in what an exit minimises; the rest is cross-entropy with the labels,
    so that rows without one count by the divergence alone."""
    temperature: Temperature = 3.0
    """Of the probabilities that are compared."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        exits = " and ".join(self.exits)
        return (
            f"deeper exit (teaches {exits}, alpha {self.alpha:g}, "
            f"temperature {shown(self.temperature)})"
        )
