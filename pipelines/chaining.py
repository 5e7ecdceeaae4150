"""The part of the pipeline between teacher and student: assistants, each taught by the one before,
and earlier generations of the student."""

from typing import Any

from components.shared import images
from components.shared.recipe import Recipe
from components.shared.recipe.student import stages
from components.training.component import train_student
from pipelines.teaching import Parameters, Taught, label_rows


def teach_through_assistants(
    recipe: Recipe, taught: Taught, given: Parameters, student: Any, distillation: Any
) -> Taught:
    """Train everyone who learns before the student, and have each label the rows for the next.

    No teacher runs again: each stage reads the labels of the one before.

    Args:
        recipe: as it is compiled; how many stages there are cannot be changed when it is run.
        taught: the teacher, and its labels.
        given: what the steps are told.
        student: the recipe's section, as a parameter.
        distillation: likewise.

    Returns:
        Who teaches the student: the last assistant, or the teacher where there is none.
    """
    for stage, (_, learning) in enumerate(stages(recipe.student, recipe.distillation)):
        task = train_student(
            dataset=given.dataset,
            dataset_digest=given.dataset_digest,
            soft_labels=taught.soft_labels,
            soft_labels_digest=taught.soft_labels_digest,
            arm="assistant",
            student=student,
            distillation=distillation,
            seed=given.seed,
            storage=given.storage,
            stage=stage,
            **(taught.online if learning.runs_teacher else {}),
        )
        task.set_display_name(f"train-assistant-{stage + 1}")
        taught = label_rows(recipe, images.SOFT_LABELS, given, task)
    return taught
