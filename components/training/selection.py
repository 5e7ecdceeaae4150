"""Choosing among candidates on held-out training rows; the test rows play no part."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_MIN_HELD_OUT = 150


class Score(NamedTuple):
    """How good a candidate is on held-out rows: a share, and its standard error."""

    value: float
    standard_error: float


def proportion(share: float, rows: int) -> Score:
    """A share of ``rows`` rows as a score; its standard error has one success and failure added.

    The added rows keep it above zero where all rows agree (Agresti & Coull 1998).
    """
    smoothed = (share * rows + 1) / (rows + 2)
    return Score(share, math.sqrt(smoothed * (1 - smoothed) / (rows + 2)))


def within_one_standard_error(scores: Sequence[Score]) -> int:
    """The first candidate whose score is within one standard error of the best.

    The order of the candidates is the order of preference (shorter training first), so that more
    effort has to show more than noise (Breiman et al. 1984, the one-standard-error rule).
    """
    best = max(scores, key=lambda score: score.value)
    floor = best.value - best.standard_error
    return next(i for i, score in enumerate(scores) if score.value >= floor)


def best_score(scores: Sequence[Score]) -> int:
    """The candidate with the highest score; the first of equals."""
    return max(range(len(scores)), key=lambda i: (scores[i].value, -i))


def held_out_size(rows: int, share: float) -> int:
    """How many rows to hold out: the share, at least 150, and never more than half."""
    return max(1, min(max(round(share * rows), _MIN_HELD_OUT), rows // 2))


def hold_out(rows: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split row indices at random into (fitted, held out)."""
    order = torch.randperm(rows, generator=generator)
    size = held_out_size(rows, share)
    return order[size:], order[:size]


def stratified_folds(
    labels: Tensor, folds: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Folds of (fitted, held out) row indices with every class spread evenly.

    Args:
        labels: class indices, shape (rows,).
        folds: number of folds; fewer where there are fewer rows.
        generator: source of the order within each class.
    """
    folds = min(folds, len(labels))
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[torch.argsort(labels[shuffled], stable=True)]
    fold_of = torch.empty(len(labels), dtype=torch.int64)
    fold_of[by_class] = torch.arange(len(labels)) % folds
    rows = torch.arange(len(labels))
    return [(rows[fold_of != fold], rows[fold_of == fold]) for fold in range(folds)]
