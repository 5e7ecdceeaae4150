"""Sums over rows that all classification metrics follow from, kept for groups of rows.

Rows come in batches, and nothing grows with their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.evaluation.measuring.ranking import (
    Counts,
    ScoreHistograms,
    ranked_classes,
    score_bins,
)
from components.shared.results import CalibrationBin, ClassResult, PairedCounts

CALIBRATION_BINS = 15
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Probabilities below 1.2e-7 count as that in logarithms, as in scikit-learn: a row cannot have a
log-loss above 15.9."""

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What a model says of some rows."""

    probabilities: Probabilities
    """Shape (rows, classes)."""
    logs: Probabilities
    """Their natural logarithms, clipped."""
    predicted: Labels
    """Class indices, shape (rows,)."""

    @classmethod
    def of(cls, probabilities: Probabilities) -> "Predictions":
        """Of class probabilities, shape (rows, classes)."""
        logs = np.log(np.maximum(probabilities, np.float32(LEAST_PROBABILITY)))
        return cls(probabilities, logs, probabilities.argmax(axis=1))

    def of_rows(self, rows: npt.NDArray[np.bool_]) -> "Predictions":
        """Those of some of the rows, by a mask of shape (rows,)."""
        return Predictions(self.probabilities[rows], self.logs[rows], self.predicted[rows])


@dataclass(frozen=True)
class Scored:
    """Predictions of some rows beside their labels and the teacher's predictions; all but the last
    of shape (rows,)."""

    labels: Labels
    predicted: Labels
    right: npt.NDArray[np.bool_]
    confidence: Probabilities
    """The largest probability."""
    loss: Floats
    """Negative log-likelihood of the label, in nats."""
    divergence: Floats
    """KL(teacher || model), in nats."""
    agrees: npt.NDArray[np.bool_]
    """Whether teacher and model predict the same class."""
    bins: npt.NDArray[np.int32]
    """Where the scores of the ranked classes lie, shape (rows, ranked classes)."""


def score(model: Predictions, labels: Labels, teacher: Predictions) -> Scored:
    """Hold predictions against labels, class indices of shape (rows,), and against the teacher."""
    rows = np.arange(len(labels))
    ranked = ranked_classes(model.probabilities.shape[1])
    scores = model.probabilities[:, ranked] if len(ranked) == 1 else model.probabilities
    gap = teacher.logs - model.logs
    return Scored(
        labels=labels,
        predicted=model.predicted,
        right=model.predicted == labels,
        confidence=model.probabilities[rows, model.predicted],
        loss=np.maximum(-model.logs[rows, labels], 0).astype(np.float64),
        divergence=np.einsum("rc,rc->r", teacher.probabilities, gap).astype(np.float64),
        agrees=model.predicted == teacher.predicted,
        bins=score_bins(scores),
    )


@dataclass(frozen=True)
class Sums:
    """All that is kept of the rows of one group."""

    rows: int
    right: int
    agreeing: int
    loss: Floats
    """Sum and sum of squares."""
    divergence: Floats
    """Sum and sum of squares."""
    calibration: Floats
    """By bin of confidence, shape (3, 15): rows, sum of the confidences, right rows."""
    detail: "Detail"


class Detail(NamedTuple):
    """What grows with the number of classes; empty arrays where it is not kept."""

    confusion: Counts
    """Rows by true and predicted class, shape (classes, classes)."""
    positives: Counts
    """Rows of the class itself by score, shape (ranked classes, bins)."""
    every: Counts
    """All rows by score, of that shape."""


class Tally:
    """The sums of one model, for groups of rows."""

    def __init__(self, groups: int, classes: int, bins: int) -> None:
        """Start from no row.

        Args:
            groups: number of groups.
            classes: number of classes.
            bins: score bins, a power of two; 0 keeps only what does not grow with the classes, and
                so neither confusion matrix nor scores.
        """
        self._groups = groups
        self._counts = np.zeros((3, groups), np.int64)
        self._moments = np.zeros((4, groups))
        self._calibration = np.zeros((3, groups, CALIBRATION_BINS))
        kept = classes if bins else 0
        self._confusion = np.zeros((groups, kept, kept), np.int64)
        self._scores = ScoreHistograms(groups, kept, max(bins, 1))

    def update(self, groups: Labels, scored: Scored) -> None:
        """Add some rows; ``groups`` has the group of each, shape (rows,)."""
        for place, chosen in enumerate((groups, groups[scored.right], groups[scored.agrees])):
            self._counts[place] += np.bincount(chosen, minlength=self._groups)
        loss, divergence = scored.loss, scored.divergence
        for place, values in enumerate((loss, loss**2, divergence, divergence**2)):
            self._moments[place] += np.bincount(groups, values, self._groups)
        self._update_calibration(groups, scored)
        if self._confusion.size:
            classes = self._confusion.shape[1]
            cells = (groups * classes + scored.labels) * classes + scored.predicted
            found = np.bincount(cells, minlength=self._confusion.size)
            self._confusion += found.reshape(self._confusion.shape)
            self._scores.update(groups, scored.labels, scored.bins)

    def _update_calibration(self, groups: Labels, scored: Scored) -> None:
        """Bin m holds confidences in ((m-1)/15, m/15]."""
        confidence = scored.confidence.astype(np.float64)
        bins = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
        cells = groups * CALIBRATION_BINS + bins.clip(0, CALIBRATION_BINS - 1)
        for place, values in enumerate((None, confidence, scored.right)):
            found = np.bincount(cells, values, self._calibration[place].size)
            self._calibration[place] += found.reshape(self._groups, CALIBRATION_BINS)

    def sums(self, group: int) -> Sums:
        """The sums of one group."""
        rows, right, agreeing = self._counts[:, group].tolist()
        scores = self._scores
        return Sums(
            rows=rows,
            right=right,
            agreeing=agreeing,
            loss=self._moments[:2, group],
            divergence=self._moments[2:, group],
            calibration=self._calibration[:, group],
            detail=Detail(self._confusion[group], scores.positives[group], scores.every[group]),
        )


class PairTally:
    """Rows counted by which of two models was right."""

    def __init__(self) -> None:
        self._counts = np.zeros(4, np.int64)

    def update(self, first: Scored, second: Scored) -> None:
        """Add some rows, scored by both."""
        self._counts += np.bincount(first.right * 2 + second.right, minlength=4)

    @property
    def counts(self) -> PairedCounts:
        """The first model is the ``student`` of the counts."""
        neither, only_second, only_first, both = self._counts.tolist()
        return PairedCounts(
            both=both, only_student=only_first, only_other=only_second, neither=neither
        )


def per_class(confusion: Counts, names: Sequence[str]) -> list[ClassResult]:
    """Precision, recall and F1 of each class; ``None`` where the denominator is zero."""
    results = []
    for index, name in enumerate(names):
        right = int(confusion[index, index])
        rows = int(confusion[index].sum())
        predicted = int(confusion[:, index].sum())
        results.append(
            ClassResult(
                name=name,
                rows=rows,
                precision=right / predicted if predicted else None,
                recall=right / rows if rows else None,
                f1=2 * right / (rows + predicted) if rows + predicted else None,
            )
        )
    return results


def calibration_bins(calibration: Floats) -> list[CalibrationBin]:
    """The bins that are not empty, by rising confidence.

    Args:
        calibration: :attr:`Sums.calibration`.
    """
    return [
        CalibrationBin(rows=int(rows), confidence=confidence / rows, accuracy=right / rows)
        for rows, confidence, right in calibration.T.tolist()
        if rows
    ]
