"""The pipelines of a comparison in KFP's DSL: what the methods of a seed share, and one of them."""

from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.compression.component import compress_student
from components.data_validation.component import resolve_dataset, validate_data
from components.evaluation.component import evaluate_student
from components.shared.recipe import Recipe
from components.training.component import train_student
from pipelines.chaining import teach_through_assistants
from pipelines.teaching import Parameters, label_by_workers, teach

_PLAIN: dict[str, Any] = {"candidates": ["float32"]}
_ANY_METHOD = {"method": "kd"}
"""Baselines learn by no method, so that the recipe's, which the data may refuse, plays no part."""
_BRIEF: dict[str, Any] = {"latency": {"budget_s": 0.1, "attempts": 1}}
"""All methods have the same network, so that their latency says nothing."""


class LessonOutputs(NamedTuple):
    """What all methods of a seed share."""

    dataset: dsl.Dataset
    dataset_digest: str
    soft_labels: dsl.Artifact
    soft_labels_digest: str
    student_labels: dsl.Artifact
    student_labels_digest: str
    student_teacher: dsl.Artifact
    student_teacher_digest: str
    teacher: dsl.Artifact
    teacher_digest: str
    hard_label: dsl.Model
    hard_label_digest: str
    pseudo_label: dsl.Model
    pseudo_label_digest: str


class TrialOutputs(NamedTuple):
    """What one method came to."""

    student: dsl.Model
    evaluation: dsl.Artifact


def build_lesson(recipe: Recipe) -> BaseComponent:
    """The pipeline that brings in the data and the teacher, has it and its assistants label, and
    trains the baselines.

    Args:
        recipe: of one seed.
    """
    sections = recipe.model_dump(mode="json", exclude_none=True)
    data = {key: value for key, value in sections["data"].items() if key != "uri"}
    workers = label_by_workers(recipe, ())

    @dsl.pipeline(name=f"{recipe.name}-lesson")  # type: ignore[untyped-decorator]
    def lesson() -> LessonOutputs:
        resolved = resolve_dataset(uri=recipe.data.uri, data=data)
        validated = validate_data(
            dataset=resolved.outputs["dataset"],
            digest=resolved.outputs["digest"],
            validation=sections["validation"],
        )
        dataset, digest = validated.outputs["checked"], validated.outputs["checked_digest"]
        given = Parameters(
            dataset=dataset,
            dataset_digest=digest,
            teacher=sections["teacher"],
            labelling=sections["labelling"],
            storage=recipe.storage,
            seed=recipe.seed,
            tracking_uri="",
            label_by_workers=workers,
        )
        taught = teach(recipe, given)
        last = teach_through_assistants(
            recipe, taught, given, sections["student"], sections["distillation"]
        )

        def train(arm: str) -> Any:
            return train_student(
                dataset=dataset,
                dataset_digest=digest,
                soft_labels=taught.soft_labels,
                soft_labels_digest=taught.soft_labels_digest,
                arm=arm,
                student=sections["student"],
                distillation={**sections["distillation"], **_ANY_METHOD},
                seed=recipe.seed,
                storage=recipe.storage,
                **(taught.online if recipe.distillation.runs_teacher_for(arm) else {}),
            ).outputs

        hard_label, pseudo_label = train("hard_label"), train("pseudo_label")
        return LessonOutputs(
            dataset=dataset,
            dataset_digest=digest,
            soft_labels=taught.soft_labels,
            soft_labels_digest=taught.soft_labels_digest,
            student_labels=last.soft_labels,
            student_labels_digest=last.soft_labels_digest,
            student_teacher=last.teacher,
            student_teacher_digest=last.teacher_digest,
            teacher=taught.teacher,
            teacher_digest=taught.teacher_digest,
            hard_label=hard_label["model"],
            hard_label_digest=hard_label["digest"],
            pseudo_label=pseudo_label["model"],
            pseudo_label_digest=pseudo_label["digest"],
        )

    built: BaseComponent = lesson
    return built


def build_trial(recipe: Recipe) -> BaseComponent:
    """The pipeline that trains a student by one method and measures it beside the baselines.

    Nothing of it reads or writes a registry: ``champion`` is a folder that says there is none.

    Args:
        recipe: of any seed; what differs between seeds and methods are parameters.
    """
    sections = recipe.model_dump(mode="json", exclude_none=True)

    @dsl.pipeline(name=f"{recipe.name}-trial")  # type: ignore[untyped-decorator]
    def trial(
        dataset: str,
        dataset_digest: str,
        soft_labels: str,
        soft_labels_digest: str,
        student_labels: str,
        student_labels_digest: str,
        student_teacher: str,
        student_teacher_digest: str,
        teacher: str,
        teacher_digest: str,
        hard_label: str,
        hard_label_digest: str,
        pseudo_label: str,
        pseudo_label_digest: str,
        champion: str,
        distillation: dict,  # type: ignore[type-arg]
        seed: int,
    ) -> TrialOutputs:
        data = _taken(dataset, dsl.Dataset)
        shared = {
            "dataset": data,
            "dataset_digest": dataset_digest,
            "soft_labels": _taken(student_labels, dsl.Artifact),
            "soft_labels_digest": student_labels_digest,
        }
        student = train_student(
            **shared,
            arm="student",
            student=sections["student"],
            distillation=distillation,
            seed=seed,
            storage=recipe.storage,
            teacher=_taken(student_teacher, dsl.Model),
            teacher_digest=student_teacher_digest,
        ).outputs
        compressed = compress_student(
            **shared,
            teacher_labels=_taken(soft_labels, dsl.Artifact),
            teacher_labels_digest=soft_labels_digest,
            student=student["model"],
            student_digest=student["digest"],
            teacher=_taken(teacher, dsl.Model),
            teacher_digest=teacher_digest,
            hard_label=_taken(hard_label, dsl.Model),
            hard_label_digest=hard_label_digest,
            pseudo_label=_taken(pseudo_label, dsl.Model),
            pseudo_label_digest=pseudo_label_digest,
            student_spec=sections["student"],
            compression=_PLAIN,
            seed=seed,
        ).outputs
        evaluated = evaluate_student(
            dataset=data,
            candidates=compressed["candidates"],
            teacher=compressed["teacher_onnx"],
            hard_label=compressed["hard_label_onnx"],
            pseudo_label=compressed["pseudo_label_onnx"],
            champion=_taken(champion, dsl.Model),
            evaluation_spec=_BRIEF,
            student_bundle=student["model"],
        )
        return TrialOutputs(student=student["model"], evaluation=evaluated.outputs["evaluation"])

    built: BaseComponent = trial
    return built


def _taken(folder: Any, kind: type[dsl.Artifact]) -> Any:
    """An artifact of another pipeline, by its folder."""
    return dsl.importer(artifact_uri=folder, artifact_class=kind, reimport=True).output
