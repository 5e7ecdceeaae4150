"""Models of a recipe that are not built in: where they are, and whether they may be made."""

from collections.abc import Iterator

from components.shared.recipe import Recipe
from components.shared.recipe.library_models import LibraryModelSpec
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.outside_models import FactorySpec, check_allowed
from components.shared.recipe.teacher import trained


def check_modules(recipe: Recipe) -> None:
    """Refuse factories that the environment does not allow, before a run has come to them.

    Args:
        recipe: is run in this environment.

    Raises:
        UserError: what to set.
    """
    for model in _models(recipe):
        if isinstance(model, FactorySpec):
            check_allowed(model.module, model.factory)


def model_folders(recipe: Recipe) -> Iterator[str]:
    """Where models of libraries are read from."""
    for model in _models(recipe):
        if isinstance(model, LibraryModelSpec) and model.folder:
            yield model.folder


def _models(recipe: Recipe) -> Iterator[ModelSpec]:
    yield from (one.model for one in trained(recipe.teacher))
    yield from (one.model for one in recipe.distillation.assistants)
    yield recipe.student.model
