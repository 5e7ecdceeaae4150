"""Several teachers: one store of what they say together, shard by shard."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from components.shared import events
from components.shared.events import Progress
from components.shared.recipe.teacher import EnsembleTeacher, shares
from components.shared.soft_labels import SoftLabelWriter, StoreIdentity
from components.soft_labels.pairwise import PairwiseMean
from components.soft_labels.stores import Labels, Stores
from components.soft_labels.teachers.protocol import Array
from components.soft_labels.unifying import Unified, judged, mean_confidence
from components.soft_labels.weighing import by_quality


class Way(Protocol):
    """How labels are combined."""

    @property
    def identity(self) -> StoreIdentity:
        """Of the combined store."""

    def combined(self, logits: Sequence[Array], known: Labels) -> Array:
        """Logits of shape (rows, views, classes).

        Args:
            logits: of each store, shape (rows, views, its classes).
            known: class of each row, shape (rows,); -1 where there is none.
        """


def way_of(spec: EnsembleTeacher, stores: Stores) -> Way:
    """How the stores of an ensemble are combined, with the weights that their teachers get.

    Weights that are not the recipe's take a pass over all stores; the event ``teacher_weights`` has
    them.

    Raises:
        UserError: there are no rows to judge the teachers by, or one is not better than a guess.
    """
    given = [share.weight for share in shares(spec)]
    if spec.weighting == "fixed":
        if stores.complete:
            return PairwiseMean([store.identity for store in stores.stores], given)
        return Unified(stores, spec, given)
    known: dict[str, object] = {}
    if spec.weighting == "quality":
        found = judged(stores, spec.judged)
        weights = by_quality(found, given)
        known["accuracy"] = [one.right / one.rows for one in found]
        known["rows"] = [one.rows for one in found]
    else:
        weights = mean_confidence(stores, spec)
    events.emit("teacher_weights", weighting=spec.weighting, weights=weights, **known)
    return Unified(stores, spec, weights)


def combine(stores: Stores, way: Way, writer: SoftLabelWriter) -> None:
    """Write the combined store, shard by shard; shards that are whole already are kept.

    Args:
        stores: of all teachers.
        way: how they are combined.
        writer: of the combined store.

    Raises:
        UserError: a shard is missing, damaged, or has other rows than its counterpart.
    """
    first = stores.stores[0]
    progress = Progress("combining", total=first.manifest.rows, unit="rows")
    done = 0
    for index, shard in enumerate(first.shards):
        if not writer.take_over(index):
            part = stores.part(index)
            found = [way.combined(logits, known) for logits, known in part.chunks()]
            writer.write(index, part.labels[0].ids, np.concatenate(found), part.known)
        done += shard.rows
        progress.update(done)
