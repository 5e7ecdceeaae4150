"""The whole recipe."""

import json
from typing import Annotated

from pydantic import Field, model_validator

from components.shared.recipe.base import Spec
from components.shared.recipe.compression import CompressionSpec
from components.shared.recipe.data import DataSpec, ValidationSpec
from components.shared.recipe.evaluation import EvaluationSpec
from components.shared.recipe.gates import Gates
from components.shared.recipe.models import DistillationSpec, StudentSpec, TeacherSpec
from components.shared.recipe.registry import RegistrySpec


class Recipe(Spec):
    """One distillation: data, teacher, student, method, compression, gates and registry."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")]
    """Name of the pipeline: lower case letters, digits and hyphens."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of training; the split of the data has its own."""
    data: DataSpec
    validation: ValidationSpec = ValidationSpec()
    teacher: TeacherSpec
    student: StudentSpec
    distillation: DistillationSpec = DistillationSpec()
    compression: CompressionSpec = CompressionSpec()
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
            if model.family != "mlp":
                raise ValueError(
                    f"{role}.model.family is {model.family}, but data.input.kind is tabular"
                )
        trainings = {"student": self.student.training.shift}
        if self.teacher.source == "train":
            trainings["teacher"] = self.teacher.training.shift
        for role, shift in trainings.items():
            if shift:
                raise ValueError(f"{role}.training.shift is for images, but the input is tabular")
        return self

    @model_validator(mode="after")
    def _slices_can_be_judged(self) -> "Recipe":
        if self.gates.worst_slice is not None and not self.data.slices:
            raise ValueError("gates.worst_slice needs data.slices, the columns to slice by")
        return self


def recipe_schema() -> str:
    """The JSON Schema of recipes, for editors."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
