"""How a model is trained: part of ``teacher`` and ``student``."""

from typing import Annotated

from pydantic import Field

from components.shared.recipe.base import Candidates, PositiveFloat, PositiveInt, Spec


class TrainingSpec(Spec):
    """AdamW with linear warm-up over 5 % of the steps and cosine decay to zero."""

    steps: PositiveInt
    """Optimizer steps."""
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 5e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    shift: Annotated[int, Field(ge=0)] = 0
    """Augmentation for images: random shifts by up to so many pixels."""
    threads: PositiveInt = 1
    """CPU threads. The weights are the same bit for bit only at the same number."""


class StudentTrainingSpec(TrainingSpec):
    """How student and baselines are trained; each arm chooses its own length."""

    steps: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] | None = None  # type: ignore[assignment]
    """Candidate lengths in optimizer steps, shortest first. By default 25 epochs and four times as
    many (at least 1,600 steps, and 10,000 where 25 epochs are more), for labels alone a quarter of
    that."""

    def at(self, steps: int) -> TrainingSpec:
        """This training at one of the candidate lengths."""
        return TrainingSpec(**{**self.model_dump(), "steps": steps})
