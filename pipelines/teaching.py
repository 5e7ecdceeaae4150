"""The part of the pipeline that makes soft labels: teachers, what labels, and what combines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.shared import images
from components.shared.recipe import Recipe
from components.shared.recipe.student import stages
from components.shared.recipe.teacher import MlflowTeacher, OneTeacher, shares
from components.soft_labels.component import (
    combine_soft_labels,
    describe_ensemble,
    generate_soft_labels,
    import_teacher,
    label_shards,
)
from components.training.component import train_teacher
from pipelines.task_settings import TaskSetting, apply_to_every_task

_TRAINED_OR_COPIED = ("train", "bundle")
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
"""Inputs of the step that combines, by the position of a teacher."""


@dataclass(frozen=True)
class Parameters:
    """What the steps are told: pipeline parameters, and outputs of earlier steps."""

    dataset: Any
    dataset_digest: Any
    teacher: Any
    labelling: Any
    storage: Any
    seed: Any
    tracking_uri: Any
    label_by_workers: Mapping[str, BaseComponent]
    """By image: :func:`label_by_workers`."""


@dataclass(frozen=True)
class Taught:
    """A teacher, or several as one, and what they say of the rows."""

    teacher: Any
    teacher_digest: Any
    soft_labels: Any
    soft_labels_digest: Any

    @property
    def online(self) -> dict[str, Any]:
        """The teacher, for a student whose method runs it in training."""
        return {"teacher": self.teacher, "teacher_digest": self.teacher_digest}


def teach(recipe: Recipe, given: Parameters) -> Taught:
    """Bring in every teacher of the recipe, have it label the rows, and combine their labels.

    Args:
        recipe: as it is compiled; what the graph depends on cannot be changed when it is run.
        given: what the steps are told.
    """
    members = shares(recipe.teacher)
    taught = [
        label_rows(
            recipe,
            _image(share.teacher),
            given,
            _teacher(share.teacher, position, given),
            of_several=len(members) > 1,
        )
        for position, share in enumerate(members)
    ]
    if len(taught) == 1:
        return taught[0]
    stores = {
        name: value
        for place, one in zip(_PLACES, taught, strict=False)
        for name, value in (
            (place, one.soft_labels),
            (f"{place}_digest", one.soft_labels_digest),
        )
    }
    combined = combine_soft_labels(
        dataset=given.dataset,
        dataset_digest=given.dataset_digest,
        teacher=given.teacher,
        storage=given.storage,
        **stores,
    )
    _cached_by_storage(recipe, combined)
    labels, digest = combined.outputs["soft_labels"], combined.outputs["digest"]
    described = describe_ensemble(
        dataset=given.dataset,
        dataset_digest=given.dataset_digest,
        teacher=given.teacher,
        soft_labels=labels,
        soft_labels_digest=digest,
    )
    return Taught(described.outputs["model"], described.outputs["digest"], labels, digest)


def _teacher(teacher: OneTeacher, position: int, given: Parameters) -> Any:
    """Train a teacher, or take it over; the task."""
    if teacher.source in _TRAINED_OR_COPIED:
        task = train_teacher(
            dataset=given.dataset,
            dataset_digest=given.dataset_digest,
            teacher=given.teacher,
            member=position,
            seed=given.seed,
            storage=given.storage,
        )
    else:
        task = import_teacher(
            dataset=given.dataset,
            dataset_digest=given.dataset_digest,
            teacher=given.teacher,
            member=position,
            tracking_uri=given.tracking_uri,
        )
    if isinstance(teacher, MlflowTeacher):
        task.set_container_image(images.SOFT_LABELS_MLFLOW)
    if teacher.source != "train":  # bytes behind a URI
        task.set_caching_options(False)
    return task


def label_rows(
    recipe: Recipe, image: str, given: Parameters, made: Any, of_several: bool = False
) -> Taught:
    """Have a teacher label the rows: workers first, where there are several, each its share.

    Args:
        recipe: as it is compiled.
        image: that the teacher runs in.
        given: what the steps are told.
        made: the task that made the teacher.
        of_several: whether it is one of several teachers.
    """
    common = {
        "dataset": given.dataset,
        "dataset_digest": given.dataset_digest,
        "teacher": made.outputs["model"],
        "teacher_digest": made.outputs["digest"],
        "labelling": given.labelling,
        "storage": given.storage,
        "of_several": of_several,
    }
    sealed = generate_soft_labels(**common).set_container_image(image)
    _cached_by_storage(recipe, sealed)
    if recipe.labelling.workers > 1:
        workers = list(range(recipe.labelling.workers))
        labelled = given.label_by_workers[image](**common, workers=workers)
        sealed.after(labelled)
    return Taught(
        common["teacher"],
        common["teacher_digest"],
        sealed.outputs["soft_labels"],
        sealed.outputs["digest"],
    )


def _cached_by_storage(recipe: Recipe, task: Any) -> None:
    """Where labels outlive the run, the store is the cache: it notices what was lost, and labels it
    again, where KFP's would lead the next step to a store with a gap."""
    if recipe.storage:
        task.set_caching_options(False)


def _image(teacher: OneTeacher) -> str:
    """Models of MLflow need MLflow where they label, unless they are plain ONNX files."""
    runs_code = isinstance(teacher, MlflowTeacher) and teacher.allow_code
    return images.SOFT_LABELS_MLFLOW if runs_code else images.SOFT_LABELS


def label_by_workers(recipe: Recipe, settings: Sequence[TaskSetting]) -> dict[str, BaseComponent]:
    """The pipelines in which workers label at once, by the image that they run in."""
    if recipe.labelling.workers == 1:
        return {}
    used = dict.fromkeys(_image(share.teacher) for share in shares(recipe.teacher))
    if stages(recipe.student, recipe.distillation):
        used[images.SOFT_LABELS] = None
    return {image: _label_by_workers(image, settings) for image in used}


def _label_by_workers(image: str, settings: Sequence[TaskSetting]) -> BaseComponent:
    """Workers that label at once, as a pipeline for use in another.

    The loop has one of its own because of KFP's local runner, where an output of an earlier step
    becomes the loop's item when it enters a loop, but what a pipeline is given stays what it is.
    """

    @dsl.pipeline(name="label-by-workers")  # type: ignore[untyped-decorator]
    def label_by_workers(
        dataset: dsl.Input[dsl.Dataset],
        dataset_digest: str,
        teacher: dsl.Input[dsl.Model],
        teacher_digest: str,
        labelling: dict,  # type: ignore[type-arg]
        storage: str,
        of_several: bool,
        workers: list[int],
    ) -> None:
        with dsl.ParallelFor(workers) as worker:
            task = label_shards(
                dataset=dataset,
                dataset_digest=dataset_digest,
                teacher=teacher,
                teacher_digest=teacher_digest,
                labelling=labelling,
                storage=storage,
                worker=worker,
                of_several=of_several,
            )
            task.set_container_image(image)
        apply_to_every_task(settings)

    return label_by_workers
