"""What a teacher's say is worth: by its held-out quality, or row by row by its confidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.soft_labels.encoding import NO_LABEL
from components.soft_labels.mixing import Numbers, Positions, log_softmax
from components.soft_labels.teachers.checking import LEAST_PROBABILITY


class Judged(NamedTuple):
    """How a teacher does on rows that it has not learned from."""

    rows: int
    """Those of its classes."""
    right: int
    classes: int
    """That it knows."""

    @property
    def log_odds(self) -> float:
        """Of being right, above those of a guess: log((classes - 1) a / (1 - a)).

        The best weights of independent voters (Nitzan and Paroush, "Optimal decision rules in
        uncertain dichotomous choice situations", 1982), for any number of classes (Zhu et al.,
        "Multi-class AdaBoost", 2009, algorithm 2). Accuracy a is counted with one row more, of
        which a guess has its share, so that it is never 0 or 1: without rows it is a guess's.
        """
        accuracy = (self.right + 1 / self.classes) / (self.rows + 1)
        return float(np.log((self.classes - 1) * accuracy / (1 - accuracy)))


def by_quality(judged: Sequence[Judged], given: Sequence[float]) -> list[float]:
    """Weights in proportion to the log-odds times those of the recipe, of 1 together.

    Args:
        judged: of each teacher.
        given: weights of the recipe.

    Raises:
        UserError: a teacher is not better than a guess, or there are no rows to judge it by.
    """
    for number, one in enumerate(judged):
        member = f"teacher.members[{number}]"
        if not one.rows:
            raise UserError(
                f"there are no rows to judge {member} by: none of its {one.classes} classes has a "
                "labelled row that it has not learned from; label more rows, hold out more where "
                "members are trained here (teacher.held_out), or set teacher.weighting to fixed"
            )
        if one.log_odds <= 0:
            raise UserError(
                f"{member} is right in {one.right} of {one.rows} rows that it has not learned "
                f"from, which is not better than a guess among {one.classes} classes; leave it "
                "out, or set teacher.weighting to fixed"
            )
    found = np.asarray([one.log_odds for one in judged]) * np.asarray(given)
    return rounded(found / found.sum())


def by_confidence(
    logits: Sequence[npt.NDArray[np.floating]],
    known: Sequence[Positions],
    labels: npt.NDArray[np.integer],
    given: Sequence[float],
    classes: int,
) -> Numbers:
    """Weights of each teacher for each row, shape (rows, teachers), of 1 together.

    (1 - softmax_k(L)) / (K - 1), with L_k the cross-entropy of teacher k with the row's label
    (Zhang et al., "Confidence-aware multi-teacher knowledge distillation", arXiv 2201.00007);
    without a label, the one that the teacher itself expects, its entropy. Both are told in units of
    a guess among all classes where a teacher knows only some. A teacher that does not know a row's
    class has no say in it.

    Args:
        logits: of each teacher, at temperature 1, shape (rows, its classes).
        known: the classes that they are of, by their positions among all.
        labels: class of each row, shape (rows,); -1 where there is none.
        given: weights of the recipe, by which these are multiplied.
        classes: how many there are.
    """
    unsure = np.stack(
        [
            _uncertainty(log_softmax(one), there, labels) * (np.log(classes) / np.log(len(there)))
            for one, there in zip(logits, known, strict=True)
        ],
        axis=1,
    )
    heard = np.isfinite(unsure)
    others = heard.sum(axis=1, keepdims=True) - 1
    shares = np.exp(log_softmax(np.where(heard, unsure, -np.inf)))
    weights = np.where(others == 0, 1.0, (1 - shares) / np.maximum(others, 1)) * given
    raised = np.where(heard, np.maximum(weights, LEAST_PROBABILITY), 0)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def rounded(weights: Sequence[float] | Numbers) -> list[float]:
    """With six digits, in which two processors agree: weights are part of a store's identity."""
    return [float(f"{weight:.6g}") for weight in weights]


def _uncertainty(logs: Numbers, known: Positions, labels: npt.NDArray[np.integer]) -> Numbers:
    """Cross-entropy of one teacher with the label, or its entropy, of each row; infinite where it
    does not know the label."""
    column = np.full(int(max(known.max(), labels.max(initial=0))) + 1, NO_LABEL)
    column[known] = np.arange(len(known))
    found: Numbers = -(np.exp(logs) * logs).sum(axis=1)
    labelled = np.flatnonzero(labels != NO_LABEL)
    there = column[labels[labelled]]
    crossed = -np.take_along_axis(logs[labelled], there[:, None], axis=1)[:, 0]
    found[labelled] = np.where(there == NO_LABEL, np.inf, crossed)
    return found
