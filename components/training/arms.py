"""The arms of a distillation: what each learns from, and how it chooses its own length.

The *student* learns from soft labels, the *pseudo-label* arm from the teacher's argmax on the same
rows, the *hard-label* arm from the labels alone. All share architecture, initial weights and
training code, so that a difference between them is a difference of targets.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from components.shared.bundle import (
    Candidate,
    CurvePoint,
    Fit,
    Selection,
)
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.objectives import shown
from components.shared.training.trainer import Diverged
from components.training.choices import Choice, lengths, searched, settings
from components.training.fitting import agreeing, train
from components.training.following import (
    beside_the_chosen,
    fit_of,
    teachers_choice,
)
from components.training.problem import Arm, Problem, Split
from components.training.searching import Plan, default_budget, plan_within, search
from components.training.selection import (
    Score,
    best_score,
    held_out_size,
    hold_out,
    parts_held_out,
    proportion,
    stratified_folds,
    within_one_standard_error,
)
from components.training.sizing import find_size

_FOLDS = 5
_JUDGED = 300
"""Rows that a search judges its candidates on, at least, where five folds have them."""


@dataclass(frozen=True)
class Trained:
    """A trained arm."""

    model: ModelSpec
    network: Classifier
    curve: list[CurvePoint]
    selection: Selection
    fit: Fit | None
    """Of the network to its teacher; null where it had none."""


def train_arm(arm: Arm, problem: Problem) -> Trained:
    """Choose among the arm's candidates on held-out training rows, then train on all rows.

    Raises:
        UserError: training diverged, or there are no labels for the arm that learns from them.
    """
    size, all_rows = None, None
    if arm == "hard_label":
        problem, all_rows = _with_labels(problem), len(problem.rows)
    elif arm == "student":
        problem, size = find_size(problem)
    choice, selection = _choose(arm, problem, all_rows)
    selection = selection.model_copy(update={"size": size})
    network, curve = train(arm, problem, choice, label=arm, name="final")
    followed = None
    if arm != "hard_label":
        followed = fit_of(network, problem.rows, problem.input.shape, problem.seed)
    return Trained(problem.student.model, network, curve, selection, followed)


def _with_labels(problem: Problem) -> Problem:
    """The problem on the rows that have labels.

    Raises:
        UserError: there are too few to train on some and judge by others.
    """
    found = problem.on(problem.rows.labelled())
    if len(found.rows) < 2:
        raise UserError(
            f"the hard-label arm learns from labels alone, of which the training rows have "
            f"{len(found.rows)}; put at least two rows with a label into the labelled split"
        )
    return found


def _choose(arm: Arm, problem: Problem, all_rows: int | None) -> tuple[Choice, Selection]:
    """What the arm is trained by in the end, and how that came about; the hard-label arm is told
    how many rows the others have."""
    steps = lengths(problem.student.training, len(problem.rows), all_rows)
    if arm == "student" and problem.distillation.method == "auto":
        return _search(problem, steps)
    candidates = list(map(Choice, steps))
    if arm == "student":
        candidates = settings(problem.distillation, steps)
    if len(candidates) == 1:
        return candidates[0], _alone(arm, candidates[0])
    if arm == "hard_label":
        selection = _select_by_cross_validation(problem, candidates)
    else:
        selection = _select_by_agreement(arm, problem, candidates)
    return candidates[selection.chosen], selection


def _alone(arm: Arm, choice: Choice) -> Selection:
    return Selection(
        judge="nothing, since there was one candidate",
        candidates=[_candidate(arm, choice)],
        chosen=0,
    )


def _search(problem: Problem, steps: Sequence[int]) -> tuple[Choice, Selection]:
    """Find method and length by successive halving, judged by agreement with the teacher."""
    spec, rows = problem.distillation, problem.rows
    methods = searched(problem.classes, steps[0])
    size = held_out_size(len(rows), spec.holdout)
    budget = spec.budget or default_budget(len(methods), steps)
    plan = plan_within(budget, len(methods), steps, min(_FOLDS, math.ceil(_JUDGED / size)))
    if plan.methods == 1 and len(plan.lengths) == 1:
        return methods[0], _alone("student", methods[0])
    generator = torch.Generator().manual_seed(problem.seed)
    splits = [
        Split.of(rows, fitted, held_out, generator)
        for fitted, held_out in parts_held_out(len(rows), spec.holdout, plan.folds, generator)
    ]
    judged = sum(len(split.held_out) for split in splits)
    seen = sum(len(split.seen) for split in splits)
    trainings = itertools.count()
    agreed: list[Tensor] = []

    def judge(choice: Choice) -> Score:
        right, learned = [], 0
        for split in splits:
            label, name = f"trial of {_name('student', choice)}", f"search-{next(trainings)}"
            try:
                network, _ = train("student", problem.on(split.fitted), choice, label, name)
            except Diverged:
                agreed.append(torch.zeros(judged, dtype=torch.bool))
                return Score(0.0, 0.0)
            right.append(agreeing(problem, network, split.held_out, teachers_choice))
            learned += int(agreeing(problem, network, split.seen, teachers_choice).sum())
        agreed.append(torch.cat(right))
        score = proportion(int(agreed[-1].sum()) / judged, judged)
        return score._replace(fitted=learned / seen)

    found = search(plan, methods, judge)
    candidates = list(map(partial(_candidate, "student"), found.tried, found.scores))
    candidates = beside_the_chosen(candidates, agreed, found.chosen)
    selection = Selection(
        judge=_judge_of(plan, judged),
        candidates=candidates,
        chosen=found.chosen,
        held_out=judged,
        fitted=seen,
    )
    return found.tried[found.chosen], selection


def _judge_of(plan: Plan, judged: int) -> str:
    """How a search went, in words."""
    halves = ""
    if plan.methods > 1:
        halves = (
            f"{plan.methods} methods for {plan.screening} steps each, the better half for "
            f"{plan.lengths[0]}; "
        )
    longer = ""
    if len(plan.lengths) > 1:
        longer = ", and longer training only where it agrees more by over one"
    return (
        f"agreement with the teacher on {judged} held-out training rows; {halves}"
        f"the first within one standard error of the best{longer}"
    )


def _select_by_agreement(arm: Arm, problem: Problem, candidates: Sequence[Choice]) -> Selection:
    """Hold out rows, and keep the cheapest candidate that agrees with the teacher about best."""
    generator = torch.Generator().manual_seed(problem.seed)
    rows, share = problem.rows, problem.distillation.holdout
    split = Split.of(rows, *hold_out(len(rows), share, generator), generator)
    held_out, agreed = len(split.held_out), []
    scores: list[Score] = []
    for number, choice in enumerate(candidates):
        label = f"candidate {_name(arm, choice)}"
        network, _ = train(arm, problem.on(split.fitted), choice, label, f"candidate-{number}")
        agreed.append(agreeing(problem, network, split.held_out, teachers_choice))
        learned = int(agreeing(problem, network, split.seen, teachers_choice).sum())
        score = proportion(int(agreed[-1].sum()) / held_out, held_out)
        scores.append(score._replace(fitted=learned / len(split.seen)))
    chosen = within_one_standard_error(scores)
    tried = list(map(partial(_candidate, arm), candidates, scores))
    return Selection(
        judge=f"agreement with the teacher on {held_out} held-out training rows; "
        "the first candidate within one standard error of the best",
        candidates=beside_the_chosen(tried, agreed, chosen),
        chosen=chosen,
        held_out=held_out,
        fitted=len(split.seen),
    )


def _select_by_cross_validation(problem: Problem, candidates: Sequence[Choice]) -> Selection:
    """Keep the length with the best cross-validated accuracy on the labelled rows."""
    generator = torch.Generator().manual_seed(problem.seed)
    rows = problem.rows
    folds = stratified_folds(rows.labels(), _FOLDS, generator)
    scores = []
    for number, choice in enumerate(candidates):
        right = 0
        for fold in range(folds.count):
            fitted, held_out = (rows.part(part) for part in folds.split(fold))
            label = f"candidate {choice.steps} steps, fold {fold + 1} of {folds.count}"
            name = f"candidate-{number}-fold-{fold}"
            network, _ = train("hard_label", problem.on(fitted), choice, label, name)
            right += int(agreeing(problem, network, held_out, lambda batch: batch.labels).sum())
        scores.append(proportion(right / len(rows), len(rows)))
    return Selection(
        judge=f"accuracy on {len(rows)} labelled rows, {folds.count}-fold "
        "cross-validation; the best, since a baseline must be as good as it can be",
        candidates=list(map(partial(_candidate, "hard_label"), candidates, scores)),
        chosen=best_score(scores),
    )


def _candidate(arm: Arm, choice: Choice, score: Score | None = None) -> Candidate:
    soft = arm == "student"
    return Candidate(
        steps=choice.steps,
        objectives=list(choice.objectives) if soft else None,
        temperature=choice.temperature,
        weight=choice.weight if soft else None,
        score=score.value if score else None,
        standard_error=score.standard_error if score else None,
        fitted=score.fitted if score else None,
    )


def _name(arm: Arm, choice: Choice) -> str:
    if arm != "student":
        return f"{choice.steps} steps"
    named = [f"{choice.steps} steps", "+".join(one.kind for one in choice.objectives)]
    if choice.temperature is not None:
        named.append(f"T={shown(choice.temperature)}")
    return ", ".join([*named, f"weight={choice.weight:g}"])
