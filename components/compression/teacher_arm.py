"""The teacher's arm where the teacher is no model bundle: its file, or its predictions."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from components.shared import events
from components.shared.dataset import Dataset, Rows
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable
from components.shared.files import new_directory
from components.shared.pieces import pieces_of
from components.shared.predictions import Array, write_predictions
from components.shared.soft_labels import SoftLabels
from components.shared.teacher import OnnxModel, TeacherRecord


def write_teacher_arm(
    source: Path, record: TeacherRecord, data: Dataset, store: SoftLabels, folder: Path
) -> None:
    """Write what evaluation measures the teacher by.

    An ONNX teacher is in deployed form already. What another one says of the test rows is in the
    soft-label store, since it labelled them too; nothing is learned from those labels.

    Args:
        source: the teacher artifact.
        record: what it says of itself.
        data: the data set.
        store: the soft labels.
        folder: where the deployable folder, or the predictions, go; complete or absent.

    Raises:
        UserError: a file of the teacher or of the store is damaged.
    """
    if isinstance(record.model, OnnxModel):
        deployable = read_deployable(source)
        with new_directory(folder) as temporary:
            for name in (DEPLOYABLE, ONNX_FILE):
                shutil.copyfile(source / name, temporary / name)
        events.emit(
            "exported",
            arm="teacher",
            max_difference=deployable.max_difference,
            rows=deployable.checked_rows,
        )
        return
    written = write_predictions(
        folder,
        _test_rows(data, store),
        described=record.in_words,
        teacher_digest=record.digest,
        dataset_digest=data.manifest.digest,
        classes=data.manifest.classes,
    )
    events.emit("stored", arm="teacher", rows=written.rows)


def _test_rows(data: Dataset, store: SoftLabels) -> Iterator[tuple[Rows, Array]]:
    """The test rows of each shard of the store, with their logits."""
    pieces = pieces_of(data.manifest, store.identity.piece_rows)
    for index, rows in enumerate(data.read_pieces(pieces, "test")):
        if len(rows):
            yield rows, store.labels(index).of(rows.names)[:, 0]
