"""How many test rows lie farther from the transfer pool than its own rows do from one another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import InputSpec, TabularInput

Matrix = npt.NDArray[np.float32]

_ROWS = 2000
"""Sampled rows of each side at most: 4 million distances."""
LEAST_POOL, LEAST_TEST = 50, 20
_QUANTILE = 0.99
_CONFIDENCE = 0.99
_CATEGORIES = 32
_STEP = 256


@dataclass(frozen=True)
class Coverage:
    """Of test rows by the transfer pool."""

    pool: int
    """Sampled rows."""
    test: int
    uncovered: int
    """Sampled test rows that are not covered."""

    @property
    def share(self) -> float:
        """Share of the sampled test rows that are not covered."""
        return self.uncovered / self.test

    @property
    def surely(self) -> float:
        """Lower confidence bound of the share (Clopper and Pearson, one-sided 99 %)."""
        from scipy.stats import beta  # type: ignore[import-untyped]

        if not self.uncovered:
            return 0.0
        return float(beta.ppf(1 - _CONFIDENCE, self.uncovered, self.test - self.uncovered + 1))


def coverage(pool: Matrix, test: Matrix, spec: InputSpec, figures: int) -> Coverage | None:
    """Judge by distances to the nearest row of the pool, in standardised features.

    A test row is not covered where it is farther from its nearest pool row than 99 % of the pool
    rows are from theirs; one percent of the test rows are, where both are drawn alike. Theirs is
    the nearest that is not equal: copies say nothing about how far apart rows lie.

    Args:
        pool: labelled and unlabelled rows as :func:`scan.described.describe` has them.
        test: test rows, in the same way.
        spec: what they are.
        figures: how many of the numbers of images and texts are no place.

    Returns:
        Null where there are too few rows to tell.
    """
    pool, test = _spread(pool, _ROWS), _spread(test, _ROWS)
    if len(pool) < LEAST_POOL or len(test) < LEAST_TEST:
        return None
    if isinstance(spec, TabularInput):
        pool, test = _expanded(pool, spec), _expanded(test, spec)
    else:
        pool, test = pool[:, figures:], test[:, figures:]
    pool, test = _standardised(pool, test)
    limit = _usual_distance(pool)
    # A little more, for what rounding does to distances of nearly equal rows.
    uncovered = _nearest(test, pool) > limit * (1 + 1e-4) + 1e-6
    return Coverage(len(pool), len(test), int(uncovered.sum()))


def _usual_distance(pool: Matrix) -> float:
    """Squared distance to the nearest row that is not equal, which 99 % of the rows do not
    exceed."""
    different, copies = np.unique(pool, axis=0, return_counts=True)
    if len(different) == 1:
        return 0.0
    distances = _nearest(different, different, themselves=True)
    return float(np.quantile(np.repeat(distances, copies), _QUANTILE))


def _spread(rows: Matrix, most: int) -> Matrix:
    """At most so many rows, from all over."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _expanded(rows: Matrix, spec: TabularInput) -> Matrix:
    """Categories as 0/1 columns; those beyond the thirty-second share one."""
    parts = []
    for number, part in enumerate(spec.parts):
        values = rows[:, number]
        if isinstance(part, CategoricalColumn):
            codes = np.where(np.isnan(values), _CATEGORIES, np.minimum(values, _CATEGORIES))
            width = min(len(part.settled), _CATEGORIES) + 1
            parts.append((codes[:, None] == np.arange(width)).astype(np.float32))
        else:
            parts.append(values[:, None])
    return np.concatenate(parts, axis=1)


def _standardised(pool: Matrix, test: Matrix) -> tuple[Matrix, Matrix]:
    """By mean and deviation of the pool; what is missing there stands at the mean."""
    known = np.isfinite(pool)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, pool, 0).sum(axis=0, dtype=np.float64) / count
    variance = (np.where(known, pool - mean, 0) ** 2).sum(axis=0) / count
    scale = np.sqrt(variance)
    varying = scale > 0
    scale[~varying] = np.median(scale[varying]) if varying.any() else 1.0
    together = [np.nan_to_num((rows - mean) / scale, nan=0.0) for rows in (pool, test)]
    return together[0].astype(np.float32), together[1].astype(np.float32)


def _nearest(rows: Matrix, pool: Matrix, *, themselves: bool = False) -> Matrix:
    """Squared distance of each row to the nearest of the pool, shape (rows,).

    Args:
        rows: the rows.
        pool: the same width.
        themselves: whether the rows are those of the pool, and none is its own neighbour.
    """
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _STEP):
        part = rows[start : start + _STEP]
        # Not by BLAS, whose buffers would stay for the rest of the process.
        products = np.einsum("ik,jk->ij", part, pool)
        squares = (part**2).sum(axis=1)[:, None] + (pool**2).sum(axis=1)[None, :] - 2 * products
        if themselves:
            squares[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        found[start : start + _STEP] = np.maximum(squares.min(axis=1), 0)
    return found
