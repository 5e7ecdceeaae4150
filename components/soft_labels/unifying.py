"""One store of teachers that have weights of their own for each row, or know only some classes."""

from collections.abc import Sequence

import numpy as np

from components.shared.files import digest_of
from components.shared.held_out import HeldOut
from components.shared.recipe.teacher import EnsembleTeacher, shares
from components.shared.soft_labels import Combination, StoreIdentity, TeacherRef
from components.shared.soft_labels.encoding import NO_LABEL
from components.soft_labels.mixing import Numbers, mixture
from components.soft_labels.pairwise import within_float16
from components.soft_labels.stores import Labels, Stores
from components.soft_labels.teachers.checking import LEAST_PROBABILITY
from components.soft_labels.teachers.protocol import Array
from components.soft_labels.weighing import Judged, by_confidence, rounded


class Unified:
    """The classes' probabilities by all teachers together; see
    :mod:`components.soft_labels.mixing`."""

    def __init__(self, stores: Stores, spec: EnsembleTeacher, weights: Sequence[float]) -> None:
        """Nothing is read yet.

        Args:
            stores: of the teachers.
            spec: the recipe's section.
            weights: of each teacher; the mean over the rows where they differ from row to row.
        """
        self._stores, self._spec, self._weights = stores, spec, np.asarray(weights)
        self.identity = _identity(stores, spec, weights)

    def combined(self, logits: Sequence[Array], known: Labels) -> Array:
        """Logits of shape (rows, views, classes).

        Classes of which nobody with a say knows anything have the least probability that counts.

        Args:
            logits: of each store, shape (rows, views, its classes).
            known: class of each row, shape (rows,); -1 where there is none.
        """
        rows, views, _ = logits[0].shape
        flat = _flat(logits)
        if self._spec.weighting == "confidence":
            weights = _confidence(self._stores, self._spec, logits, known)
        else:
            weights = np.broadcast_to(self._weights, (rows * views, len(logits)))
        classes = len(self._stores.classes)
        found = mixture(flat, self._stores.known, weights, classes)
        found[np.isneginf(found)] = np.log(LEAST_PROBABILITY)
        return within_float16(found).reshape(rows, views, classes)


def judged(stores: Stores, share: float) -> list[Judged]:
    """How often each teacher is right on rows that it has not learned from.

    Args:
        stores: of the teachers.
        share: of the labelled rows of each class, those that
            :class:`~components.shared.held_out.HeldOut` finds.
    """
    rows, right = np.zeros((2, len(stores.known)), np.int64)
    held_out = HeldOut(share)
    for part in stores:
        for logits, known in part.chunks():
            chosen = held_out.of(known)
            labels = known[chosen]
            for number, (one, there) in enumerate(zip(logits, stores.known, strict=True)):
                first = there[one[chosen, 0].argmax(axis=1)]
                rows[number] += np.isin(labels, there).sum()
                right[number] += (first == labels).sum()
    return [
        Judged(int(of), int(correct), len(there))
        for of, correct, there in zip(rows, right, stores.known, strict=True)
    ]


def mean_confidence(stores: Stores, spec: EnsembleTeacher) -> list[float]:
    """Weight of each teacher, mean over all rows and views."""
    total, rows = np.zeros(len(stores.known)), 0
    for part in stores:
        for logits, known in part.chunks():
            weights = _confidence(stores, spec, logits, known)
            total += weights.sum(axis=0)
            rows += len(weights)
    return rounded(total / max(rows, 1))


def _confidence(
    stores: Stores, spec: EnsembleTeacher, logits: Sequence[Array], known: Labels
) -> Numbers:
    """Weights of each row and view, shape (rows times views, teachers).

    Labels count for plain rows alone: a view may have something of another row.
    """
    labels = np.full(logits[0].shape[:2], NO_LABEL, known.dtype)
    if spec.judged:
        labels[:, 0] = known
    given = [share.weight for share in shares(spec)]
    return by_confidence(
        _flat(logits), stores.known, labels.reshape(-1), given, len(stores.classes)
    )


def _flat(logits: Sequence[Array]) -> list[Array]:
    return [one.reshape(-1, one.shape[-1]) for one in logits]


def _identity(stores: Stores, spec: EnsembleTeacher, weights: Sequence[float]) -> StoreIdentity:
    """The kept classes of a row are as many as in the stores where any keeps only some."""
    identities = [store.identity for store in stores.stores]
    k = max((one.k for one in identities if one.k is not None), default=None)
    return identities[0].model_copy(
        update={
            "classes": stores.classes,
            "teachers": [
                TeacherRef(digest=teacher.digest, weight=teacher.weight * weight)
                for identity, weight in zip(identities, weights, strict=True)
                for teacher in identity.teachers
            ],
            "preprocessing_digest": digest_of([one.preprocessing_digest for one in identities]),
            "representation": "dense" if k is None else "topk",
            "k": k,
            "combination": Combination(
                weighting=spec.weighting,
                weights=rounded([share.weight for share in shares(spec)]),
                judged=spec.judged,
                known=[one.classes for one in identities],
            ),
        }
    )
