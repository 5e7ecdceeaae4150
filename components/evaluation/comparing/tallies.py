"""Sums over batches that say how two models differ; nothing grows with the rows."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluation.measuring.metrics import (
    Floats,
    Labels,
    PairTally,
    Predictions,
    Scored,
    Tally,
    score,
)
from components.evaluation.measuring.scoring import whole_bins
from components.shared.dataset import UNLABELLED
from components.shared.results import DifferentRow

MOST_DIFFERENT = 20
_COARSE = 64
"""Score bins of the tally over all rows, whose AUROC nobody asks for."""

Cell = tuple[int, int]
"""The champion's class and the challenger's."""


@dataclass(frozen=True)
class Labelled:
    """The rows of a batch that have a label, as both models see them."""

    champion: Scored
    challenger: Scored


@dataclass(frozen=True)
class Batch:
    """What the two models say of some rows."""

    against: Scored
    """The challenger's predictions, held against the champion's classes as if they were labels."""
    distances: Floats
    """Total variation of the two models' probabilities, 0 to 1, shape (rows,)."""
    confidence: Floats
    """The champion's largest probability, shape (rows,)."""
    labelled: Labelled | None
    """Null where no row has a label."""


def compare_batch(champion: Predictions, challenger: Predictions, labels: Labels) -> Batch:
    """Hold two models' predictions of the same rows against each other.

    Args:
        champion: what the champion predicts.
        challenger: what the challenger does.
        labels: class indices, shape (rows,); -1 where there is none.
    """
    known = labels != UNLABELLED
    gap = np.abs(champion.probabilities - challenger.probabilities)
    distances = gap.sum(axis=1, dtype=np.float64) / 2
    labelled = None
    if known.any():
        theirs, mine = champion.of_rows(known), challenger.of_rows(known)
        labelled = Labelled(
            score(theirs, labels[known], theirs), score(mine, labels[known], theirs)
        )
    return Batch(
        against=score(challenger, champion.predicted, champion),
        distances=np.minimum(distances, 1.0),
        confidence=champion.probabilities.max(axis=1).astype(np.float64),
        labelled=labelled,
    )


class ComparisonTally:
    """The sums of all batches."""

    def __init__(self, classes: int) -> None:
        bins = whole_bins(classes)
        self.against = Tally(1, classes, _COARSE)
        """Of :attr:`Batch.against`: its confusion matrix is champion by challenger."""
        self.champion = Tally(1, classes, bins)
        """On the labelled rows."""
        self.challenger = Tally(1, classes, bins)
        """On the labelled rows."""
        self.pair = PairTally()
        """The challenger is the first."""
        self.labelled: Counter[Cell] = Counter()
        """Labelled rows on which the two disagree."""
        self.champion_right: Counter[Cell] = Counter()
        self.challenger_right: Counter[Cell] = Counter()
        self._rows = 0
        self._distance = 0.0
        self._confidence = 0.0
        self._different: list[DifferentRow] = []

    def update(self, ids: list[str], batch: Batch) -> None:
        """Add the rows of a batch."""
        self._rows += len(ids)
        self._distance += float(batch.distances.sum())
        self._confidence += float(batch.confidence.sum())
        self._keep_different(ids, batch.distances)
        self.against.update(np.zeros(len(ids), np.int64), batch.against)
        if batch.labelled is not None:
            self._add_labelled(batch.labelled)

    @property
    def rows(self) -> int:
        """All rows so far."""
        return self._rows

    @property
    def total_variation(self) -> float:
        """Mean over the rows, 0 to 1."""
        return self._distance / self._rows

    @property
    def champion_confidence(self) -> float:
        """Mean of the champion's largest probability."""
        return self._confidence / self._rows

    @property
    def challenger_confidence(self) -> float:
        """Mean of the challenger's largest probability."""
        _, confidence, _ = self.against.sums(0).calibration.sum(axis=1).tolist()
        return float(confidence) / self._rows

    @property
    def most_different(self) -> list[DifferentRow]:
        """The rows with the largest total variation, of equal ones the first."""
        return self._different

    def _add_labelled(self, batch: Labelled) -> None:
        champion, challenger = batch.champion, batch.challenger
        everything = np.zeros(len(champion.labels), np.int64)
        self.champion.update(everything, champion)
        self.challenger.update(everything, challenger)
        self.pair.update(challenger, champion)
        apart = champion.predicted != challenger.predicted
        for counter, rows in (
            (self.labelled, apart),
            (self.champion_right, apart & champion.right),
            (self.challenger_right, apart & challenger.right),
        ):
            counter.update(_cells(champion.predicted[rows], challenger.predicted[rows]))

    def _keep_different(self, ids: list[str], distances: Floats) -> None:
        largest = np.argsort(-distances, kind="stable")[:MOST_DIFFERENT]
        found = [
            DifferentRow(id=ids[row], total_variation=float(distances[row]))
            for row in largest
            if distances[row] > 0
        ]
        # Sorting keeps the order of equal rows, and those of earlier batches come first.
        both = sorted([*self._different, *found], key=lambda one: -one.total_variation)
        self._different = both[:MOST_DIFFERENT]


def _cells(champion: npt.NDArray[np.int64], challenger: npt.NDArray[np.int64]) -> list[Cell]:
    return list(zip(champion.tolist(), challenger.tolist(), strict=True))
