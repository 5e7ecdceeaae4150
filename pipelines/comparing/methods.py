"""The methods that are compared: what ``--methods`` names, and the recipe of each."""

import difflib
from collections.abc import Sequence

from components.shared.errors import UserError
from components.shared.recipe import Recipe
from components.shared.recipe.objectives import NAMES, NAMES_ALONE
from components.shared.recipe.teacher import EnsembleTeacher, TrainedTeacher

RECIPE = "recipe"
"""The method that the recipe has, with its settings."""
METHODS: tuple[str, ...] = (RECIPE, "auto", *NAMES_ALONE)
_AND = "+"
"""Between the objectives of one method."""


def parse_methods(text: str) -> list[str]:
    """The methods that are named, in their order.

    Args:
        text: names separated by commas, such as ``kd,dist,auto``; objectives with a plus between
            them, such as ``kd+fitnet``, are one method, which minimises their sum.

    Raises:
        UserError: a name is not known, given twice, does not go with others, or there is none.
    """
    methods = ["".join(method.split()) for method in text.split(",") if method.strip()]
    if not methods:
        raise UserError(f"--methods: name some of {', '.join(METHODS)}")
    seen = []
    for method in methods:
        names = method.split(_AND)
        if not all(names):
            raise UserError(f"--methods: {method} lacks a name beside a plus")
        for name in names:
            _check(name)
            if len(names) > 1 and name not in NAMES_ALONE:
                raise UserError(f"--methods: {method} is no method; {name} stands alone")
        if len(set(names)) < len(names):
            raise UserError(f"--methods: {method} has an objective twice")
        if set(names) in seen:
            raise UserError(f"--methods: {method} is given twice")
        seen.append(set(names))
    return methods


def _check(name: str) -> None:
    if name in NAMES and name not in NAMES_ALONE:
        raise UserError(
            f"--methods: {name} needs settings; write it into the recipe with them, and "
            f"compare {RECIPE}"
        )
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METHODS)}"
        raise UserError(f"--methods: {name} is no method; {hint}")


def seeds_of(recipe: Recipe, count: int) -> list[int]:
    """The seed of the recipe, and those after it."""
    return [recipe.seed + number for number in range(count)]


def has_own_splits(recipe: Recipe) -> bool:
    """Whether each seed splits the rows anew: where the recipe splits at random, and no teacher
    comes from elsewhere, which may have learned from what would be test rows."""
    teachers = [recipe.teacher]
    if isinstance(recipe.teacher, EnsembleTeacher):
        teachers = [member.teacher for member in recipe.teacher.members]
    trained_here = all(isinstance(teacher, TrainedTeacher) for teacher in teachers)
    return recipe.data.split.by == "random" and trained_here


def recipe_of_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe of one seed.

    Where seeds have their own splits, the split's seed moves along: figures that differ by the seed
    of training alone would say nothing of other rows. Drift is not judged, since a comparison looks
    at no champion. All methods have the network that the recipe names, whatever its search would
    find.
    """
    data, split = recipe.data, recipe.data.split
    if split.by == "random" and has_own_splits(recipe):
        moved = split.model_copy(update={"seed": split.seed + seed - recipe.seed})
        data = data.model_copy(update={"split": moved})
    validation = recipe.validation.model_copy(update={"drift": None})
    student = recipe.student.model_copy(update={"search": None})
    changed = {"seed": seed, "data": data, "validation": validation, "student": student}
    return recipe.model_copy(update=changed)


def section_of(recipe: Recipe, method: str) -> dict[str, object]:
    """The recipe's section ``distillation`` with another method; its own for ``recipe``.

    Whether the other settings of the section go with the method is looked at when it trains.
    """
    section = recipe.distillation.model_dump(mode="json", exclude_none=True)
    if method == RECIPE:
        return section
    return {**section, "method": method.split(_AND) if _AND in method else method}


def sections_of(recipe: Recipe, methods: Sequence[str]) -> dict[str, dict[str, object]]:
    """:func:`section_of` each method, by its name."""
    return {method: section_of(recipe, method) for method in methods}
