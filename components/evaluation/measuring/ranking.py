"""Ranking by probability: histograms of scores, and AUROC and ROC curves from them.

Sorting all scores would need all rows in memory. The histograms are fine where scores crowd: the
bins divide each octave of the score, and of one minus the score, evenly, down to 2 ** -33.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.shared.results import RocPoint

FINEST = 2**14
"""Bins that scores are sorted into; coarser histograms take them together."""
_PER_OCTAVE = 8
"""Powers of two: 256 bins an octave, 32 octaves on either side of a half."""
_LOWEST = (127 - 33) << _PER_OCTAVE
"""The bin of 2 ** -33, counted from zero."""
_MANTISSA = 23
_MOST_POINTS = 100

Counts = npt.NDArray[np.int64]


class Area(NamedTuple):
    """Area under a ROC curve."""

    value: float
    centre: float
    """The same with one more row of the rarer kind, in the middle of the ranking."""
    standard_error: float


def ranked_classes(classes: int) -> list[int]:
    """The classes whose probabilities rank rows: the second of two, or each against the rest."""
    return [1] if classes == 2 else list(range(classes))


def score_bins(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """The bin of each score, 0 to ``FINEST`` - 1, rising with the score.

    The bits of a positive float rise with its value, so that their upper part is a bin. One minus a
    score from a half on is exact (Sterbenz's lemma).

    Args:
        scores: probabilities, any shape, contiguous.
    """
    small = np.minimum(scores, 1 - scores)
    step = np.maximum((small.view(np.int32) >> (_MANTISSA - _PER_OCTAVE)) - _LOWEST, 0)
    bins: npt.NDArray[np.int32] = np.where(scores < 0.5, step, FINEST - 1 - step)
    return bins


class ScoreHistograms:
    """Scores counted by group of rows, ranked class and bin."""

    def __init__(self, groups: int, classes: int, bins: int) -> None:
        """Start from no row.

        Args:
            groups: number of groups.
            classes: number of classes.
            bins: a power of two, up to ``FINEST``.
        """
        self._ranked = np.asarray(ranked_classes(classes))
        self._shift = FINEST.bit_length() - bins.bit_length()
        self.every: Counts = np.zeros((groups, len(self._ranked), bins), np.int64)
        self.positives = self.every.copy()
        """Only the rows of the class itself."""

    def update(self, groups: Counts, labels: Counts, bins: npt.NDArray[np.int32]) -> None:
        """Count some rows.

        Args:
            groups: group of each row, shape (rows,).
            labels: class indices, shape (rows,).
            bins: from :func:`score_bins`, shape (rows, ranked classes).
        """
        ranked, size = self.every.shape[1:]
        cells = np.arange(0, ranked * size, size) + (bins >> self._shift)
        cells += groups[:, None] * (ranked * size)
        own = cells[labels == 1, 0] if ranked == 1 else cells[np.arange(len(labels)), labels]
        for counts, chosen in ((self.every, cells.ravel()), (self.positives, own)):
            np.add(counts, np.bincount(chosen, minlength=counts.size).reshape(counts.shape), counts)


def area(positives: Counts, every: Counts) -> Area | None:
    """AUROC: of the second of two classes, or the mean over each class against the rest.

    Classes that have no row, or all rows, are left out of the mean. Rows in the same bin count as
    ties, so that each class is off by at most half the share of the pairs of a positive and a
    negative row that lie in the same bin. The tests find less than 2e-4 with 4,096 bins and .02
    with 64, of models whose logits are spread by .2 or more; should all scores lie within a
    thousandth of each other, only the bound holds.

    The standard error is DeLong's (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837),
    which needs only how each row is placed among those of the other kind; but at least half of that
    of a share with as many rows as the rarer kind has, since a perfect ranking of few rows has no
    error at all by DeLong. The mean over several classes has an upper bound of the error: positive
    rows of different classes are different rows, and so independent; of the parts of the negative
    rows, the standard deviations are added.

    Args:
        positives: rows of the class by bin, shape (ranked classes, bins).
        every: all rows by bin, of that shape.

    Returns:
        ``None`` where no class has rows both of its own and of others.
    """
    positive, negative = _both_kinds(positives, every)
    if not len(positive):
        return None
    own, others = (rows.sum(axis=1, keepdims=True) for rows in (positive, negative))
    above = (np.cumsum(negative, axis=1) - negative / 2) / others
    below = 1 - (np.cumsum(positive, axis=1) - positive / 2) / own
    values = (positive * above).sum(axis=1) / own[:, 0]
    of_positives = _variance_of_mean(positive, above)
    of_negatives = _variance_of_mean(negative, below)
    each = np.sqrt(of_positives + of_negatives)
    bound = (np.sqrt(of_positives.sum()) + np.sqrt(of_negatives).sum()) / len(values)
    fewest = np.minimum(own, others)[:, 0]
    centres = (values * fewest + 0.5) / (fewest + 1)
    least = np.sqrt((centres * (1 - centres) / (fewest + 1)).sum()) / (2 * len(values))
    error = max(min(each.mean(), bound), least)
    return Area(float(values.mean()), float(centres.mean()), float(error))


def roc_points(positives: Counts, every: Counts) -> list[RocPoint]:
    """At most 100 points of the ROC curve, by falling threshold.

    Of several classes, the rates at a threshold are averaged. The points are spread evenly along
    the curve.

    Args:
        positives: as for :func:`area`.
        every: as for :func:`area`.

    Returns:
        Nothing where no class has rows both of its own and of others.
    """
    positive, negative = _both_kinds(positives, every)
    if not len(positive):
        return []
    rates = [
        np.concatenate([[0.0], (np.cumsum(rows, axis=1) / rows.sum(axis=1, keepdims=True)).mean(0)])
        for rows in (positive[:, ::-1], negative[:, ::-1])
    ]
    along = rates[0] + rates[1]
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _MOST_POINTS) - 1e-12))
    thresholds = np.append(_lower_edges(every.shape[1]), 1.0)[::-1]
    return [
        RocPoint(
            threshold=float(thresholds[point]),
            true_positive_rate=float(rates[0][point]),
            false_positive_rate=float(rates[1][point]),
        )
        for point in chosen.tolist()
    ]


def _both_kinds(positives: Counts, every: Counts) -> tuple[Counts, Counts]:
    """Positive and negative rows by bin, of the classes that have both."""
    negatives = every - positives
    both = (positives.sum(axis=1) > 0) & (negatives.sum(axis=1) > 0)
    return positives[both], negatives[both]


def _variance_of_mean(rows: Counts, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Variance of the mean of ``values`` for each class; 0 where it has one row."""
    count = rows.sum(axis=1)
    mean = (rows * values).sum(axis=1) / count
    square = (rows * values**2).sum(axis=1) / count
    variance: npt.NDArray[np.float64] = (square - mean**2).clip(0) / np.maximum(count - 1, 1)
    return variance


def _lower_edges(bins: int) -> npt.NDArray[np.float64]:
    """The least score of each bin."""
    steps = np.arange(bins // 2 + 1, dtype=np.int32) * (FINEST // bins) + _LOWEST
    edges = (steps << (_MANTISSA - _PER_OCTAVE)).view(np.float32).astype(np.float64)
    return np.concatenate([[0.0], edges[1:-1], 1 - edges[:0:-1]])
