"""Choosing among candidates on held-out training rows; the test rows play no part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_MIN_HELD_OUT = 150
_MANY = 1_000_000
"""Rows above which neither exact shares nor even classes matter."""


class Score(NamedTuple):
    """How good a candidate is on held-out rows: a share, and its standard error."""

    value: float
    standard_error: float
    fitted: float | None = None
    """The same share of rows that it was trained on, which says nothing of how good it is."""


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
    """Split rows at random into (fitted, held out).

    Returns:
        Numbers of rows in random order; where there are more than a million rows, masks of shape
        (rows,), which take an eighth of the memory, and hold out about the share, at least one row
        in 256.
    """
    if rows > _MANY:
        held_out = _random_bytes(rows, generator) < max(1, round(256 * share))
        return ~held_out, held_out
    order = torch.randperm(rows, generator=generator)
    size = held_out_size(rows, share)
    return order[size:], order[:size]


def parts_held_out(
    rows: int, share: float, folds: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Split rows at random into (fitted, held out) several times, each time with other rows held
    out.

    Args:
        rows: number of rows.
        share: share of the rows to hold out.
        folds: how many splits; fewer where there are too few rows.
        generator: source of the order; the first split is that of :func:`hold_out`.
    """
    fitted, held_out = hold_out(rows, share, generator)
    if fitted.dtype == torch.bool:
        return [(fitted, held_out)]
    order, size = torch.cat([held_out, fitted]), len(held_out)
    starts = range(0, min(folds, rows // size) * size, size)
    return [
        (torch.cat([order[:start], order[start + size :]]), order[start : start + size])
        for start in starts
    ]


@dataclass(frozen=True)
class Folds:
    """Which fold holds out each row."""

    count: int
    fold_of: Tensor
    """Shape (rows,)."""

    def split(self, fold: int) -> tuple[Tensor, Tensor]:
        """Masks of the rows that are fitted and held out, shape (rows,)."""
        held_out = self.fold_of == fold
        return ~held_out, held_out


def stratified_folds(labels: Tensor, folds: int, generator: torch.Generator) -> Folds:
    """Folds with every class spread evenly; at random where there are more than a million rows.

    Args:
        labels: class indices, shape (rows,).
        folds: number of folds; fewer where there are fewer rows.
        generator: source of the order within each class.
    """
    folds = min(folds, len(labels))
    if len(labels) > _MANY:
        return Folds(folds, _random_bytes(len(labels), generator) % folds)
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[torch.argsort(labels[shuffled], stable=True)]
    fold_of = torch.empty(len(labels), dtype=torch.uint8)
    fold_of[by_class] = (torch.arange(len(labels)) % folds).to(torch.uint8)
    return Folds(folds, fold_of)


def some(rows: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """About so many of the rows at random, or all where there are no more.

    Args:
        rows: numbers of rows in random order, of which the first are taken, or a mask.
        most: how many; of a mask at least one in 256.
        generator: decides which ones of a mask.
    """
    if rows.dtype != torch.bool:
        return rows[:most]
    there = int(rows.sum())
    if there <= most:
        return rows
    return rows & (_random_bytes(len(rows), generator) < max(1, round(256 * most / there)))


def _random_bytes(rows: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (rows,), dtype=torch.uint8, generator=generator)
