"""Numbers of a recipe that may change in the course of a training."""

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from components.shared.recipe.base import PositiveFloat, Spec


class Schedule(Spec):
    """A number that changes linearly over the first part of a training, and stays where it ends."""

    start: Annotated[float, Field(ge=0)]
    end: Annotated[float, Field(ge=0)]
    over: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training that the change takes."""

    @model_validator(mode="after")
    def _changes(self) -> "Schedule":
        if self.start == self.end:
            raise ValueError("start and end are the same; write the number alone")
        return self

    def at(self, progress: float) -> float:
        """The number when the given share of the training's steps is done, 0 to 1."""
        return self.start + (self.end - self.start) * min(1.0, progress / self.over)

    def __str__(self) -> str:
        over = "" if self.over == 1 else f" over {self.over:.3g} of the training"
        return f"{self.start:g} → {self.end:g}{over}"


def _never_zero(value: "float | Schedule") -> "float | Schedule":
    if isinstance(value, Schedule) and 0 in (value.start, value.end):
        raise ValueError("a temperature is above 0 at both ends of its schedule")
    return value


def _form(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Schedule) else "number"


Scheduled = Annotated[
    Annotated[PositiveFloat, Tag("number")] | Annotated[Schedule, Tag("schedule")],
    Discriminator(_form),
]
"""A number above 0, or one that changes in the course of the training."""
Temperature = Annotated[Scheduled, AfterValidator(_never_zero)]


def value_at(value: float | Schedule, progress: float) -> float:
    """A number that may have a schedule, when the given share of the training is done."""
    return value.at(progress) if isinstance(value, Schedule) else value


def shown(value: float | Schedule) -> str:
    """A number that may have a schedule, as a report shows it: ``2``, or ``4 → 1``."""
    return str(value) if isinstance(value, Schedule) else f"{value:g}"
