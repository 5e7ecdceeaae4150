"""The whole recipe."""

import json
from typing import Annotated

from pydantic import Field, model_validator

from components.shared.recipe.base import Spec
from components.shared.recipe.compression import CompressionSpec
from components.shared.recipe.data import DataSpec
from components.shared.recipe.evaluation import EvaluationSpec
from components.shared.recipe.gates import Gates
from components.shared.recipe.labelling import LabellingSpec
from components.shared.recipe.models import FAMILIES, ModelSpec
from components.shared.recipe.objectives import OnlineSpec, misfit
from components.shared.recipe.registry import RegistrySpec
from components.shared.recipe.resources import Resources
from components.shared.recipe.student import (
    DistillationSpec,
    StageSpec,
    StudentSpec,
    learnings,
    stages,
)
from components.shared.recipe.teacher import (
    BundleTeacher,
    TeacherSpec,
    TrainedTeacher,
    is_measurable,
    trained,
)
from components.shared.recipe.validation import ValidationSpec


class Recipe(Spec):
    """One distillation: data, teacher, student, method, compression, gates, registry, resources."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")]
    """Name of the pipeline: lower case letters, digits and hyphens."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of training; the split of the data has its own."""
    storage: str = ""
    """Where soft labels and checkpoints are kept from run to run: an ``s3://BUCKET/PREFIX`` URI or
    a folder that all steps see. Empty: soft labels stay with the run, and a training that is
    interrupted starts over. ``kubedistill run`` has ``.kubedistill/storage`` for that."""
    data: DataSpec
    validation: ValidationSpec = ValidationSpec()
    teacher: TeacherSpec
    labelling: LabellingSpec = LabellingSpec()
    student: StudentSpec
    distillation: DistillationSpec = DistillationSpec()
    compression: CompressionSpec = CompressionSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    gates: Gates
    registry: RegistrySpec
    resources: Annotated[Resources, Field(exclude=True)] = Resources()
    """What steps get in a cluster. No step is told, and no record of a run has it."""

    @property
    def _assistants(self) -> list[tuple[str, StageSpec]]:
        """By the path of the field; generations are the student's own sections again."""
        before = stages(self.student, self.distillation)
        paths = [f"distillation.assistants[{i}]" for i in range(len(self.distillation.assistants))]
        return list(zip(paths, before, strict=False))

    @property
    def _taught(self) -> list[tuple[str, StageSpec]]:
        """Everyone who learns from a teacher, by the path of what it learns."""
        own = StageSpec(self.student, self.distillation)
        assistants = [(f"{name}.distillation", stage) for name, stage in self._assistants]
        return [("distillation", own), *assistants]

    @model_validator(mode="after")
    def _models_fit_the_input(self) -> "Recipe":
        kind = self.data.input.kind
        models: list[tuple[str, StudentSpec | TrainedTeacher]] = [("student", self.student)]
        models += [("teacher", teacher) for teacher in trained(self.teacher)]
        models += [(name, stage.student) for name, stage in self._assistants]
        for role, spec in models:
            _check_model(f"{role}.model", spec.model, kind)
            if spec.model.family == "residual_mlp" and spec.training.batch_size == 1:
                raise ValueError(
                    f"{role}.training.batch_size is 1, but residual_mlp normalises over the rows "
                    "of a batch; give 2 or more"
                )
            if spec.training.shift and kind != "image":
                raise ValueError(f"{role}.training.shift is for images, but the input is {kind}")
        return self

    @model_validator(mode="after")
    def _models_beside_the_student_fit_the_input(self) -> "Recipe":
        for name, stage in self._taught:
            for number, one in enumerate(stage.distillation.objectives):
                if not isinstance(one, OnlineSpec) or one.model is None:
                    continue
                path = f"{name}.method[{number}].model"
                _check_model(path, one.model, self.data.input.kind)
                if one.model.family == "residual_mlp" and stage.student.training.batch_size == 1:
                    raise ValueError(
                        f"{path} is a residual_mlp, which normalises over the rows of a batch, but "
                        "the training's batch_size is 1; give 2 or more"
                    )
        return self

    @model_validator(mode="after")
    def _views_fit_the_input(self) -> "Recipe":
        kind = self.data.input.kind
        if fault := self.labelling.views.misfit(kind):
            raise ValueError(f"labelling.views.{fault}")
        for name, (_, learning) in self._taught:
            if learning.live is None:
                continue
            if fault := learning.live.misfit(kind):
                raise ValueError(f"{name}.live.{fault}")
            if self.labelling.views.count > 1:
                raise ValueError(
                    f"{name}.live shows other views in every step, so that the stored ones of "
                    "labelling.views are of no use; leave out one of the two"
                )
        return self

    @model_validator(mode="after")
    def _method_fits_the_labels(self) -> "Recipe":
        """As far as they are known before the data are; the training step checks again."""
        classes = len(self.data.classes or [])
        complete = self.labelling.representation != "topk"
        if fault := misfit(self.distillation.objectives, classes, complete):
            raise ValueError(f"distillation.method: {fault}")
        for name, stage in self._assistants:
            if fault := misfit(stage.distillation.objectives, classes, complete):
                raise ValueError(f"{name}.distillation.method: {fault}")
        return self

    @model_validator(mode="after")
    def _teacher_can_be_run_in_training(self) -> "Recipe":
        """Of whoever learns from it; those who learn from an assistant learn from a network."""
        first, *_ = learnings(self.student, self.distillation)
        network = isinstance(self.teacher, TrainedTeacher | BundleTeacher)
        live = first.live or self.distillation.live  # of which the pseudo-label arm learns too
        if (first.runs_teacher or live) and not network:
            assistants = [] if self.distillation.live else self.distillation.assistants
            own = bool(assistants) and assistants[0].distillation is not None
            section = "distillation.assistants[0].distillation" if own else "distillation"
            field = f"{section}.{'live' if live else 'method'}"
            raise ValueError(
                f"{field} runs the teacher in training, which has to be a network "
                f"then: one of source train or bundle, not {self.teacher.source}"
            )
        return self

    @model_validator(mode="after")
    def _size_of_the_student_can_be_found(self) -> "Recipe":
        search = self.student.search
        needed = search.needed(self.gates) if search else 0.0
        if needed is None:
            raise ValueError(
                "student.search needs to know which size is enough: set gates.agreement, "
                "gates.retention or gates.accuracy, or student.search.agreement"
            )
        if needed >= 1:
            raise ValueError(
                f"student.search cannot show an agreement of {needed:g}, with room for error; set "
                "student.search.agreement below 1"
            )
        if search and self.distillation.generations > 1:
            raise ValueError(
                "student.search finds the size of one student, but distillation.generations are "
                "several of the same; leave out one of the two"
            )
        return self

    @model_validator(mode="after")
    def _workers_share_a_storage(self) -> "Recipe":
        if self.labelling.workers > 1 and not self.storage:
            raise ValueError("labelling.workers is more than 1, and needs storage, which all see")
        return self

    @model_validator(mode="after")
    def _nodes_share_a_storage(self) -> "Recipe":
        if self.resources.training.nodes > 1 and not self.storage.startswith("s3://"):
            raise ValueError(
                "resources.training.nodes is more than 1, and needs storage in S3, which all nodes "
                "see: storage: s3://BUCKET/PREFIX"
            )
        return self

    @model_validator(mode="after")
    def _teacher_can_be_timed(self) -> "Recipe":
        limits = self.gates.latency
        if limits and limits.ratio_to_teacher is not None and not is_measurable(self.teacher):
            raise ValueError(
                "gates.latency.ratio_to_teacher needs a teacher that is one file; an endpoint, an "
                "ensemble, or an MLflow model with allow_code is not run at evaluation, so that "
                "its latency is not known"
            )
        return self

    @model_validator(mode="after")
    def _slices_can_be_judged(self) -> "Recipe":
        if self.gates.worst_slice is not None and not self.data.slices:
            raise ValueError("gates.worst_slice needs data.slices, the columns to slice by")
        return self


def _check_model(path: str, model: ModelSpec, kind: str) -> None:
    if model.family not in FAMILIES[kind]:
        raise ValueError(
            f"{path}.family is {model.family}, but data.input.kind is {kind}, "
            f"for which there is {', '.join(FAMILIES[kind])}"
        )


def recipe_schema() -> str:
    """The JSON Schema of recipes, for editors."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
