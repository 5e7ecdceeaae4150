"""Successive halving: many candidates trained for short, few for long (Jamieson & Talwalkar, arXiv
1502.07943), within a budget; pure functions but for the training that they ask for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from components.training.choices import Choice
from components.training.selection import Score, within_one_standard_error

_BUDGET = 30_000
_SHORTER = 4
"""How much shorter the first trainings are than the shortest length that may be chosen freely."""


@dataclass(frozen=True)
class Plan:
    """What a search tries."""

    methods: int
    """How many candidates, of those that are preferred."""
    lengths: tuple[int, ...]
    """Lengths to choose among, shortest first."""
    folds: int
    """How many times each is trained, on other rows held out."""

    @property
    def screening(self) -> int:
        """Steps of the first trainings, in which the better half is found."""
        return max(1, self.lengths[0] // _SHORTER)

    @property
    def survivors(self) -> int:
        """How many candidates go on to the shortest length."""
        return math.ceil(self.methods / 2)

    @property
    def steps(self) -> int:
        """Optimizer steps of all trainings together."""
        first = self.methods * self.screening if self.methods > 1 else 0
        return self.folds * (first + self.survivors * self.lengths[0] + sum(self.lengths[1:]))


@dataclass(frozen=True)
class Search:
    """Everything that was tried, in its order, and what was chosen."""

    tried: list[Choice]
    scores: list[Score]
    chosen: int


def default_budget(methods: int, lengths: Sequence[int]) -> int:
    """30,000 steps, or as many as it takes to try every candidate and every length once.

    Args:
        methods: number of candidates.
        lengths: to choose among, shortest first.
    """
    return max(_BUDGET, Plan(methods, tuple(lengths), folds=1).steps)


def plan_within(budget: int, methods: int, lengths: Sequence[int], folds: int) -> Plan:
    """The fullest search within a budget.

    What is given up first is the folds, then the longest lengths, then the candidates that are
    preferred least. One candidate at one length needs no search, and so no budget.

    Args:
        budget: most optimizer steps of all trainings together.
        methods: number of candidates.
        lengths: to choose among, shortest first.
        folds: how many times each is to be trained.
    """
    plan = Plan(methods, tuple(lengths), folds)
    while plan.steps > budget:
        if plan.folds > 1:
            plan = replace(plan, folds=plan.folds - 1)
        elif len(plan.lengths) > 1:
            plan = replace(plan, lengths=plan.lengths[:-1])
        elif plan.methods > 1:
            plan = replace(plan, methods=plan.methods - 1)
        else:
            break
    return plan


def search(plan: Plan, candidates: Sequence[Choice], judge: Callable[[Choice], Score]) -> Search:
    """Find method, then length.

    The better half of the candidates after short trainings goes on; of those the first one in the
    order of preference is taken that is within one standard error of the best. A longer training
    of it is kept where it is better by more than one standard error, and the short one where
    training on made it worse by more than that.

    Args:
        plan: how many candidates, and which lengths.
        candidates: in order of preference; their lengths are not looked at.
        judge: trains a candidate, and scores it on rows that it was not trained on.
    """
    tried: list[Choice] = []
    scores: list[Score] = []

    def score(choice: Choice, steps: int) -> int:
        tried.append(replace(choice, steps=steps))
        scores.append(judge(tried[-1]))
        return len(tried) - 1

    going = list(candidates[: plan.methods])
    short: dict[Choice, int] = {}
    if len(going) > 1:
        short = {choice: score(choice, plan.screening) for choice in going}
        kept = better(list(map(scores.__getitem__, short.values())), plan.survivors)
        going = [going[place] for place in kept]
    at_base = [score(choice, plan.lengths[0]) for choice in going]
    winner = within_one_standard_error([scores[place] for place in at_base])
    ladder = [at_base[winner]]
    ladder += [score(going[winner], steps) for steps in plan.lengths[1:]]
    chosen = ladder[within_one_standard_error([scores[place] for place in ladder])]
    before = short.get(going[winner])
    if before is not None:
        lost = scores[before].value - scores[chosen].value
        if lost > scores[before].standard_error:
            chosen = before
    return Search(tried, scores, chosen)


def better(scores: Sequence[Score], keep: int) -> list[int]:
    """The candidates with the best scores, in their order; always with the one that is preferred
    among those within one standard error of the best.

    Args:
        scores: in order of preference.
        keep: how many go on, at least 1.
    """
    ranked = sorted(range(len(scores)), key=lambda place: (-scores[place].value, place))
    preferred = within_one_standard_error(scores)
    others = [place for place in ranked if place != preferred]
    return sorted([preferred, *others[: keep - 1]])
