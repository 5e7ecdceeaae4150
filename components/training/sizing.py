"""Which size of a student is the smallest that follows its teacher well enough, by trial."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from components.shared import events
from components.shared.bundle import SizeSearch, TriedSize
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.student import StudentSpec
from components.shared.training.trainer import Diverged
from components.training.choices import Choice, lengths, searched, settings
from components.training.fitting import agreeing, train
from components.training.following import teachers_choice
from components.training.problem import Problem, Split
from components.training.selection import Score, hold_out, proportion


class Size(NamedTuple):
    """A model that the student may have."""

    parameters: int
    model: ModelSpec


def sizes_of(student: StudentSpec, build: Callable[[ModelSpec], Classifier]) -> list[Size]:
    """The models that the student may have, smallest first; the last one is the recipe's.

    A shallower network is not always a smaller one: where it pools less, its last layers are wider.
    Of models that are as large as another one there is the first.

    Args:
        student: with the section ``search``, or with one size.
        build: makes the network of a model.
    """
    recipes = Size(build(student.model).parameter_count, student.model)
    others: dict[int, ModelSpec] = {}
    for model in student.sizes:
        if model != student.model:
            others.setdefault(build(model).parameter_count, model)
    smaller = sorted(count for count in others if count < recipes.parameters)
    return [*(Size(count, others[count]) for count in smaller), recipes]


def find_size(problem: Problem) -> tuple[Problem, SizeSearch | None]:
    """The problem with the smallest student that is enough, and how it was found; the same one
    where there is nothing to find.

    Raises:
        UserError: the held-out rows are too few to show what is needed.
    """
    search = problem.student.search
    if search is None:
        return problem, None
    sizes = sizes_of(problem.student, problem.build)
    if len(sizes) == 1:
        return problem, None
    needed = search.agreement
    if needed is None:
        raise AssertionError("the step says what is enough")
    generator = torch.Generator().manual_seed(problem.seed)
    held_out = hold_out(len(problem.rows), problem.distillation.holdout, generator)
    split = Split.of(problem.rows, *held_out, generator)
    if not _shows(proportion(1.0, len(split.held_out)), needed):
        raise UserError(
            f"student.search: {len(split.held_out):,} held-out rows cannot show an agreement of "
            f"{needed:.2%}; ask for less by student.search.agreement, or raise distillation.holdout"
        )
    choice = _preferred(problem)
    tried: list[TriedSize] = []

    def is_enough(number: int) -> bool:
        size = problem.of(sizes[number].model)
        label, name = f"size {number + 1} of {len(sizes)}", f"size-{number}"
        try:
            network, _ = train("student", size.on(split.fitted), choice, label, name)
            agreed = agreeing(size, network, split.held_out, teachers_choice)
            score = proportion(float(agreed.double().mean()), len(agreed))
        except Diverged:
            score = Score(0.0, 0.0)
        found = TriedSize(
            model=sizes[number].model,
            parameters=sizes[number].parameters,
            agreement=score.value,
            standard_error=score.standard_error,
            enough=_shows(score, needed),
        )
        tried.append(found)
        events.emit("size_tried", **found.model_dump(mode="json"))
        return found.enough

    chosen = smallest(len(sizes), is_enough, max(1, search.budget // choice.steps))
    record = SizeSearch(needed=needed, held_out=len(split.held_out), sizes=len(sizes), tried=tried)
    return problem.of(sizes[chosen].model), record


def _shows(score: Score, needed: float) -> bool:
    return score.value - score.standard_error >= needed


def _preferred(problem: Problem) -> Choice:
    """What all sizes are tried by: the first of the student's settings, at the shortest length."""
    shortest, *_ = lengths(problem.student.training, len(problem.rows))
    if problem.distillation.method == "auto":
        return searched(problem.classes, shortest)[0]
    return settings(problem.distillation, [shortest])[0]


def smallest(count: int, is_enough: Callable[[int], bool], trials: int) -> int:
    """The first of sizes that is enough, by bisection: larger ones are taken to be so too.

    The largest is not tried: where no other is enough, or trials end before, nothing smaller is
    known to be.

    Args:
        count: number of sizes, smallest first.
        is_enough: tries one.
        trials: most sizes to try.

    Returns:
        Number of the size.
    """
    low, high = 0, count - 1
    while low < high and trials > 0:
        middle, trials = (low + high) // 2, trials - 1
        if is_enough(middle):
            high = middle
        else:
            low = middle + 1
    return high
