"""Labelling: one pass of the teacher over every row, piece by piece, in the memory of a few pieces.

While the teacher is busy with a piece, the next is read and the one before is written.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from components.shared.dataset import SPLITS, UNLABELLED, Dataset, DatasetManifest, Rows
from components.shared.encoding.faults import BadValue
from components.shared.errors import UserError
from components.shared.events import Progress
from components.shared.pieces import Piece
from components.shared.soft_labels import SoftLabelWriter, StoreShard, Views
from components.shared.training.augmentation import (
    mixed_view,
    partners_in_piece,
    replay_view,
)
from components.soft_labels.batching import BatchedTeacher
from components.soft_labels.teachers.checking import UnusableRowError
from components.soft_labels.teachers.protocol import Array

ResultT = TypeVar("ResultT")
Where = Callable[[int], str]
"""What a message calls a row, by its position among those of a piece."""


class Numbered(NamedTuple):
    """A piece and its number among all, which is that of its shard."""

    number: int
    piece: Piece


def label_pieces(
    pieces: Sequence[Numbered],
    data: Dataset,
    teacher: BatchedTeacher,
    classes: Sequence[str],
    views: Views,
    writer: SoftLabelWriter,
) -> int:
    """Write a shard for each piece; those that are whole already are kept.

    Args:
        pieces: what to label.
        data: the data set that they are of.
        teacher: who labels.
        classes: those that it knows, in the order of its logits.
        views: how each row is shown to the teacher.
        writer: of the store.

    Returns:
        Rows that the teacher labelled now.

    Raises:
        UserError: the teacher's logits are not finite, or the data cannot be read.
    """
    progress = Progress("labelling", total=sum(each.piece.rows for each in pieces), unit="rows")
    known = _positions(data.manifest.classes, classes)
    missing, whole = [], 0
    for each in pieces:
        if writer.take_over(each.number):
            whole += each.piece.rows
            progress.found(whole)
        else:
            missing.append(each)
    if not missing:
        return 0
    labelled = 0
    parts = data.read_pieces([each.piece for each in missing], *SPLITS)
    with (
        ThreadPoolExecutor(1, "reading") as reading,
        ThreadPoolExecutor(1, "writing") as writing,
    ):
        coming = _submit(reading, partial(next, parts))
        written: Future[StoreShard] | None = None
        for left, each in zip(reversed(range(len(missing))), missing, strict=True):
            rows = coming.result()
            if left:
                coming = _submit(reading, partial(next, parts))
            where = partial(_where, data.manifest, rows.names, rows.positions)
            logits = _logits_of_views(teacher, rows, views, where)
            if written:
                written.result()
            labels = _known(rows, known)
            write = partial(writer.write, each.number, rows.names, logits, labels)
            written = _submit(writing, partial(_naming_rows, write, where))
            labelled += each.piece.rows
            progress.update(whole + labelled)
        if written:
            written.result()
    return labelled


def _known(rows: Rows, known: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Class of each row of the split ``labelled`` by its position in the logits, shape (rows,); -1
    for all others, and where the teacher does not know the class.

    Test rows are not to decide about anything before the evaluation.
    """
    told = (rows.splits == SPLITS.index("labelled")) & (rows.labels != UNLABELLED)
    return np.where(told, known[rows.labels], UNLABELLED)


def _positions(classes: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.int64]:
    """Position of each of the data set's classes among those that a teacher knows, or -1."""
    there = {name: position for position, name in enumerate(known)}
    return np.asarray([there.get(name, UNLABELLED) for name in classes], np.int64)


def _submit(executor: Executor, call: Callable[[], ResultT]) -> Future[ResultT]:
    """Call something in a thread whose events are of the step that this one works on."""
    context = copy_context()
    return executor.submit(lambda: context.run(call))


def _naming_rows(write: Callable[[], StoreShard], where: Where) -> StoreShard:
    """Write a shard; the row is named whose logits cannot be kept."""
    try:
        return write()
    except BadValue as error:
        raise UserError(f"{where(error.row)}: {error.reason}") from error


def _where(
    manifest: DatasetManifest, names: pa.ChunkedArray, positions: npt.NDArray[np.int64], row: int
) -> str:
    """By its number over the whole data set, and by its id where that is not sensitive."""
    told = manifest.name_of(int(positions[row]), names[row].as_py())
    return f"{manifest.source}: {told}"


def _logits_of_views(teacher: BatchedTeacher, rows: Rows, views: Views, where: Where) -> Array:
    """Shape (rows, views, classes)."""
    inputs = torch.from_numpy(rows.inputs)
    found = np.empty((len(rows), views.count, teacher.classes), np.float32)
    partners = [partners_in_piece(rows.positions, rows.splits, seed) for seed in views.seeds]
    start = 0
    while start < len(rows):
        batch = slice(start, start + teacher.rows)
        for view in range(views.count):
            own, positions = inputs[batch], rows.positions[batch]
            if view and views.mix:
                there, seed = partners[view - 1][batch], views.seeds[view - 1]
                others = inputs[there], rows.positions[there]
                shown = mixed_view(own, positions, *others, seed, views)
            else:
                shown = replay_view(own, positions, view, views)
            try:
                found[batch, view] = teacher.logits(shown.numpy())
            except UnusableRowError as error:
                raise UserError(f"{where(start + error.row)}: {error.problem}") from error
        start = batch.stop
    return found
