"""Stores of labels that no model gave, written as they are needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.shared.recipe import EnsembleTeacher
from components.shared.soft_labels import (
    SoftLabels,
    SoftLabelWriter,
    StoreIdentity,
    TeacherRef,
    Views,
)
from components.shared.storage import LocalStorage

DATASET = "d" * 64
PIECE = 7
"""Rows of a shard."""


def write_store(
    folder: Path,
    teacher: str,
    classes: Sequence[str],
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    k: int | None = None,
) -> SoftLabels:
    """A sealed store of one teacher.

    Args:
        folder: where it goes.
        teacher: its digest.
        classes: those that it knows, in the order of the logits.
        logits: shape (rows, views, classes).
        labels: of the rows, as positions in ``classes``; -1 where the store has none.
        k: of ``topk``; None for all logits.
    """
    identity = StoreIdentity(
        dataset_digest=DATASET,
        teachers=[TeacherRef(digest=teacher, weight=1.0)],
        classes=list(classes),
        preprocessing_digest=f"preprocessing of {teacher}",
        representation="dense" if k is None else "topk",
        k=k,
        views=Views(seeds=list(range(1, logits.shape[1])), shift=1),
        piece_rows=PIECE,
    )
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    for index, start in enumerate(range(0, len(logits), PIECE)):
        rows = slice(start, start + PIECE)
        ids = [f"row-{number:03d}" for number in range(len(logits))[rows]]
        writer.write(index, ids, logits[rows], labels[rows])
    writer.seal()
    return SoftLabels.open(folder, dataset_digest=DATASET, classes=classes)


def ensemble_of(weights: Sequence[float], **fields: object) -> EnsembleTeacher:
    """A recipe's section with bundles, whose labels are in stores."""
    members = [
        {"weight": weight, "teacher": {"source": "bundle", "uri": "elsewhere"}}
        for weight in weights
    ]
    return EnsembleTeacher.model_validate({"source": "ensemble", "members": members, **fields})
