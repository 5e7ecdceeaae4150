"""What of a recipe decides which steps its pipeline has; it cannot be changed when that is run."""

from typing import Any

from components.shared.errors import UserError
from components.shared.recipe.document import Recipe
from components.shared.recipe.student import LearningSpec, learnings
from components.shared.recipe.teacher import MlflowTeacher, OneTeacher, shares


def graph_of(recipe: Recipe) -> dict[str, Any]:
    """By the field of the recipe."""
    return {
        "teacher": [_kind(share.teacher) for share in shares(recipe.teacher)],
        "distillation.assistants": len(recipe.distillation.assistants),
        "distillation.generations": recipe.distillation.generations,
        "distillation.method": [
            _method(learning) for learning in learnings(recipe.student, recipe.distillation)
        ],
        "student.search": recipe.student.search is not None,
        "labelling.workers": recipe.labelling.workers,
        "validation.drift": recipe.validation.drift is not None,
    }


def check_graph(recipe: Recipe, compiled: dict[str, Any]) -> None:
    """Refuse a recipe that needs other steps than the pipeline has.

    Args:
        recipe: as it is run.
        compiled: :func:`graph_of` the recipe that was compiled.

    Raises:
        UserError: a field differs that the steps depend on.
    """
    for field, now in graph_of(recipe).items():
        if now != compiled.get(field):
            raise UserError(
                f"{field} is {now}, but the pipeline was compiled for {compiled.get(field)}, and "
                "has the steps for that; compile the recipe again"
            )


def _method(learning: LearningSpec) -> str:
    """Of the student, and those that learn before it: which artifacts the step gets."""
    if learning.live is not None:
        return "run with the teacher, on live views"
    return "run with the teacher" if learning.runs_teacher else "learned from stored labels"


def _kind(teacher: OneTeacher) -> str:
    """How a teacher is brought in, which decides step, image and caching."""
    if isinstance(teacher, MlflowTeacher) and teacher.allow_code:
        return "mlflow, with code"
    return teacher.source
