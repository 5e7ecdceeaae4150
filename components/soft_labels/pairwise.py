"""The weighted mean of several teachers' probabilities, made of two at a time."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.shared.files import digest_of
from components.shared.soft_labels import StoreIdentity, TeacherRef
from components.shared.soft_labels.representation import compress, expand
from components.soft_labels.mixing import log_softmax
from components.soft_labels.teachers.protocol import Array


class PairwiseMean:
    """The mean of the first two, then of that and the third, and so on.

    What is between is rounded as a store would round it, so that the labels are those of stores
    that are combined one after the other.
    """

    def __init__(self, identities: Sequence[StoreIdentity], shares: Sequence[float]) -> None:
        """Of stores that are alike.

        Args:
            identities: of the stores.
            shares: weights of their teachers, of 1 together.
        """
        self._shares: list[float] = []
        identity, weight = identities[0], shares[0]
        for other, share in zip(identities[1:], shares[1:], strict=True):
            self._shares.append(weight / (weight + share))
            identity = _combined(identity, other, weight, share)
            weight += share
        self.identity = identity

    def combined(self, logits: Sequence[Array], _known: npt.NDArray[np.integer]) -> Array:
        """Logits of the mean, shape (rows, views, classes), from those of each store."""
        found = logits[0]
        for number, (other, share) in enumerate(zip(logits[1:], self._shares, strict=True)):
            if number:
                found = expand(compress(found, self.identity), self.identity)
            found = mean_of_logits(found, other, share)
        return found


def mean_of_logits(first: Array, second: Array, first_share: float) -> Array:
    """Logarithms of the weighted means of the probabilities that two arrays of logits stand for.

    They are logits of the mean, at temperature 1. What is below float16's range, and so has no
    probability at all, is raised into it.

    Args:
        first: raw logits, shape (…, classes).
        second: likewise.
        first_share: weight of the first's probabilities; the second's have the rest of 1.
    """
    with np.errstate(divide="ignore"):  # a share may round to 0 or 1
        shares = np.log(first_share), np.log1p(-first_share)
    return within_float16(
        np.logaddexp(log_softmax(first) + shares[0], log_softmax(second) + shares[1])
    )


def within_float16(logits: npt.NDArray[np.float64]) -> Array:
    """Logits at most 0, raised to the least of float16."""
    raised: Array = np.maximum(logits, np.finfo(np.float16).min).astype(np.float32)
    return raised


def _combined(
    first: StoreIdentity, second: StoreIdentity, first_weight: float, second_weight: float
) -> StoreIdentity:
    total = math.fsum([first_weight, second_weight])
    return first.model_copy(
        update={
            "teachers": [
                TeacherRef(digest=teacher.digest, weight=teacher.weight * weight / total)
                for identity, weight in ((first, first_weight), (second, second_weight))
                for teacher in identity.teachers
            ],
            "preprocessing_digest": digest_of(
                [first.preprocessing_digest, second.preprocessing_digest]
            ),
        }
    )
