"""From a data set and a soft-label store to the rows of a training: in memory, or in a file.

Which of the two is decided by their size; see :data:`LIMIT`.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from components.shared import events
from components.shared.dataset import Dataset, Rows, SplitName
from components.shared.errors import UserError
from components.shared.files import digest_of
from components.shared.pieces import pieces_of
from components.shared.preprocessing import Preprocessing
from components.shared.soft_labels import SoftLabels
from components.shared.training.augmentation.partners import partners_in_piece
from components.shared.training.rows.cache import AskForRoom, open_records, rows_folder, writable
from components.shared.training.rows.layout import LossyError, RecordLayout
from components.shared.training.rows.memory import MemoryRows
from components.shared.training.rows.protocol import PLAIN, TrainingRows
from components.shared.training.rows.record_file import write_records
from components.shared.training.rows.record_rows import RecordRows
from components.shared.training.rows.sealed import read_sealed, write_sealed
from components.shared.training.statistics import standardisation, streamed_standardisation

LIMIT = "KUBEDISTILL_ROWS_IN_MEMORY_BYTES"
"""Environment variable: most bytes of inputs, labels and logits that are kept in memory."""
_DEFAULT_LIMIT = 64 * 2**20
_PIECE_ROWS = 8192
_PIECE_BYTES = 2**25

Splits = tuple[SplitName, ...]
_EVERYTHING: Splits = ("labelled", "unlabelled")
_LABELLED: Splits = ("labelled",)

Array = npt.NDArray[np.float32]


class Opened(NamedTuple):
    """Rows to train on."""

    rows: TrainingRows
    preprocessing: Preprocessing
    """Over all training rows, also where ``rows`` are the labelled ones alone."""


def open_rows(
    data: Dataset, store: SoftLabels | None, device: torch.device, labelled_only: bool = False
) -> Opened:
    """The training rows of a data set, joined with the teacher's logits by id.

    The choice between memory and file is told in an event ``training_rows``.

    Args:
        data: the data set.
        store: the teacher's logits, if there is a teacher.
        device: where batches go.
        labelled_only: leave out rows without a label.

    Raises:
        UserError: a row has no label in the store, the data or the store are damaged, or the disk
            has no room.
    """
    if _size(data, store, _EVERYTHING) <= memory_limit():
        rows = _in_memory(data, store, _EVERYTHING, device)
        preprocessing = _statistics(data, rows)
        return Opened(rows.labelled() if labelled_only else rows, preprocessing)
    preprocessing = _statistics(data)
    if not labelled_only:
        return Opened(_in_file(data, store, _EVERYTHING, device), preprocessing)
    if _size(data, store, _LABELLED) <= memory_limit():
        return Opened(_in_memory(data, store, _LABELLED, device).labelled(), preprocessing)
    return Opened(_in_file(data, store, _LABELLED, device).labelled(), preprocessing)


def memory_limit() -> int:
    """Most bytes of training rows that are kept in memory.

    Raises:
        UserError: the environment variable is not a number of bytes.
    """
    value = os.environ.get(LIMIT, str(_DEFAULT_LIMIT))
    if not value.isdecimal():
        raise UserError(f"{LIMIT} should be a number of bytes, not {value!r}")
    return int(value)


def labels_digest(store: SoftLabels) -> str:
    """Hash of what the labels are, to the bit. A store's identity says where they are from, but an
    endpoint, or another processor, may have said something else under the same identity."""
    return digest_of([store.identity.digest, *(shard.sha256 for shard in store.shards)])


def _layout(data: Dataset, store: SoftLabels | None) -> RecordLayout:
    """The narrowest that may do."""
    return RecordLayout(
        shape=data.manifest.input.shape,
        inputs="uint8" if data.manifest.input.kind == "image" else "float32",
        views=store.identity.views.count if store else 0,
        classes=len(data.manifest.classes),
        logits="float16",
    )


def _size(data: Dataset, store: SoftLabels | None, splits: Splits) -> int:
    """Bytes of the rows in memory."""
    layout = _layout(data, store)
    row = 4 * math.prod(layout.shape) + 4 * layout.views * layout.classes + 8 + 8
    return row * _count(data, splits)


def _count(data: Dataset, splits: Splits) -> int:
    return sum(data.manifest.rows.get(split, 0) for split in splits)


def _in_memory(
    data: Dataset, store: SoftLabels | None, splits: Splits, device: torch.device
) -> MemoryRows:
    shape, classes = data.manifest.input.shape, len(data.manifest.classes)
    views = store.identity.views if store else PLAIN
    total = _count(data, splits)
    inputs = torch.empty((total, *shape))
    labels, positions = (torch.empty(total, dtype=torch.int64) for _ in range(2))
    logits = [torch.empty((total, classes)) for _ in range(views.count if store else 0)]
    mixing = views.seeds if views.mix else []
    partners = [torch.empty(total, dtype=torch.int64) for _ in mixing]
    filled = 0
    for rows, part in _joined(data, store, splits):
        there = slice(filled, filled + len(rows))
        inputs[there] = torch.from_numpy(rows.inputs)
        labels[there], positions[there] = map(torch.from_numpy, (rows.labels, rows.positions))
        for view, tensor in enumerate(logits):
            tensor[there] = torch.from_numpy(part[:, view])
        for seed, numbers in zip(mixing, partners, strict=True):
            found = partners_in_piece(rows.positions, rows.splits, seed)
            numbers[there] = torch.from_numpy(filled + found)
        filled += len(rows)
    _tell("memory", total, _size(data, store, splits))
    return MemoryRows(
        inputs.to(device),
        labels.to(device),
        tuple(tensor.to(device) for tensor in logits),
        positions,
        views,
        partners=tuple(partners),
    )


def _in_file(
    data: Dataset, store: SoftLabels | None, splits: Splits, device: torch.device
) -> RecordRows:
    if store and store.identity.views.mix:
        raise UserError(
            f"labelling.views mixes rows, and the training rows take {_size(data, store, splits)} "
            f"bytes, more than the {memory_limit()} of {LIMIT}: they would be read from a file, "
            "part by part, where the row that another is mixed with is not at hand; raise "
            f"{LIMIT}, or mix rows in training itself, by distillation.live"
        )

    def write(folder: Path, ask_for_room: AskForRoom) -> None:
        layout = _layout(data, store)
        while True:
            ask_for_room(_count(data, splits) * layout.dtype.itemsize)
            parts = (
                layout.pack(rows.inputs, rows.labels, logits, rows.positions)
                for rows, logits in _told(_joined(data, store, splits), _count(data, splits))
            )
            try:
                write_records(folder, layout, parts)
                return
            except LossyError as error:
                layout = layout.model_copy(update={error.field: "float32"})

    key = digest_of(
        {
            "dataset": data.manifest.digest,
            "soft_labels": labels_digest(store) if store else None,
            "splits": splits,
        }
    )
    views = store.identity.views if store else PLAIN
    rows = RecordRows(open_records(key, write), device, views)
    _tell("file", len(rows), rows.file.index.rows * rows.file.dtype.itemsize)
    return rows


def _joined(
    data: Dataset, store: SoftLabels | None, splits: Splits
) -> Iterator[tuple[Rows, Array]]:
    """Rows with their logits, shape (rows, views, classes), piece by piece."""
    pieces = pieces_of(data.manifest, store.identity.piece_rows if store else _piece_rows(data))
    for index, rows in enumerate(data.read_pieces(pieces, *splits)):
        if store:
            yield rows, store.labels(index).of(rows.names)
        else:
            yield rows, np.zeros((len(rows), 0, len(data.manifest.classes)), np.float32)


def _piece_rows(data: Dataset) -> int:
    """Rows that are read at once where there is no store."""
    return max(1, min(_PIECE_ROWS, _PIECE_BYTES // (4 * math.prod(data.manifest.input.shape))))


def _told(joined: Iterator[tuple[Rows, Array]], total: int) -> Iterator[tuple[Rows, Array]]:
    progress = events.Progress("writing training rows", total, unit="rows")
    done = 0
    for rows, logits in joined:
        yield rows, logits
        done += len(rows)
        progress.update(done)


def _statistics(data: Dataset, rows: MemoryRows | None = None) -> Preprocessing:
    """Of all training rows; where they are many, in a pass of its own, once on a node."""
    if data.manifest.input.kind == "text":
        return Preprocessing(mean=[], std=[])
    if rows is not None:
        return standardisation(rows.inputs)
    folder = rows_folder()
    path = folder / f"{data.manifest.digest}.statistics"
    found = read_sealed(path, Preprocessing)
    if found is None:
        batches = data.batches(*_EVERYTHING, rows=_piece_rows(data))
        found = streamed_standardisation(batch.inputs for batch in batches)
        with writable(folder):
            write_sealed(path, found)
    return found


def _tell(kind: str, rows: int, size: int) -> None:
    events.emit("training_rows", kind=kind, rows=rows, bytes=size, limit=memory_limit())
