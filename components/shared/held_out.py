"""Labelled rows that teachers do not learn from, so that they can be judged by them."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from components.shared.manifest import UNLABELLED


class HeldOut:
    """A share of the labelled rows of each class, evenly spread in the order of the data.

    Training and labelling, which have the rows in the same order, find the same ones. The first
    row of a class is never held out, so that no class is lost to training.
    """

    def __init__(self, share: float) -> None:
        """Begin with the first row of the data.

        Args:
            share: of the rows of a class, 0 (none) to 1 (all).
        """
        self._share = share
        self._seen: Counter[int] = Counter()

    def of(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Which of the rows that come next are held out, shape (rows,).

        Args:
            labels: class of each row, shape (rows,); -1 where it is not known, which is never held
                out.
        """
        found = np.zeros(len(labels), np.bool_)
        for row, label in enumerate(labels.tolist()):
            if label != UNLABELLED:
                before = self._seen[label]
                found[row] = math.floor((before + 1) * self._share) > math.floor(
                    before * self._share
                )
                self._seen[label] += 1
        return found
