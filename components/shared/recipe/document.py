"""The whole recipe."""

import json
import math
from typing import Annotated

from pydantic import Field, model_validator

from components.shared.recipe.base import Spec
from components.shared.recipe.data import DataSpec, ValidationSpec
from components.shared.recipe.gates import EvaluationSpec, Gates, RegistrySpec
from components.shared.recipe.models import DistillationSpec, StudentSpec, TeacherSpec


class Recipe(Spec):
    """One distillation: data, teacher, student, method, gates and registry."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")]
    """Name of the pipeline: lower case letters, digits and hyphens."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of training; the split of the data has its own."""
    data: DataSpec
    validation: ValidationSpec = ValidationSpec()
    teacher: TeacherSpec
    student: StudentSpec
    distillation: DistillationSpec = DistillationSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    gates: Gates
    registry: RegistrySpec

    @model_validator(mode="after")
    def _models_fit_the_input(self) -> "Recipe":
        if self.data.input.kind == "image":
            return self
        models = {"student": self.student.model}
        if self.teacher.source == "train":
            models["teacher"] = self.teacher.model
        for role, model in models.items():
            if model.family == "cnn":
                raise ValueError(f"{role}.model.family is cnn, but data.input.kind is tabular")
        trainings = {"student": self.student.training.shift}
        if self.teacher.source == "train":
            trainings["teacher"] = self.teacher.training.shift
        for role, shift in trainings.items():
            if shift:
                raise ValueError(f"{role}.training.shift is for images, but the input is tabular")
        return self

    @model_validator(mode="after")
    def _latency_can_be_judged(self) -> "Recipe":
        gate, measured = self.gates.latency, self.evaluation
        if gate is None:
            return self
        if self.gates.confidence > measured.confidence:
            raise ValueError(
                f"gates.confidence is {self.gates.confidence:g}, but latency is measured at "
                f"evaluation.confidence {measured.confidence:g}; raise the latter"
            )
        for name, share in _PERCENTILES.items():
            needed = _calls_needed(share, measured.confidence)
            if getattr(gate, name) is not None and measured.calls < needed:
                raise ValueError(
                    f"gates.latency.{name} needs evaluation.calls of at least {needed} at "
                    f"confidence {measured.confidence:g}, not {measured.calls}"
                )
        return self


_PERCENTILES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}


def _calls_needed(share: float, confidence: float) -> int:
    """Calls from which the slowest bounds a percentile at all: share**calls <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(share))


def recipe_schema() -> str:
    """The JSON Schema of recipes, for editors."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
