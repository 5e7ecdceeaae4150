"""Rows in a record file: read in windows that are shuffled, one ahead of the training.

Processes that train together read the same windows, since the rows of a batch lie all over one, and
batches are to be the same however many share them; each makes inputs of its share alone.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.shared.soft_labels import Views
from components.shared.training.distributed import ranks
from components.shared.training.rows.layout import Records
from components.shared.training.rows.order import chunk_order, row_order
from components.shared.training.rows.protocol import PLAIN, Batch, Partners
from components.shared.training.rows.record_file import RecordFile

_WINDOW_BYTES = 2**23
"""Rows that are shuffled together; about four times as much is in memory."""
_SCANNED_CHUNKS = 16
"""Chunks that are read at once where the order is that of the file."""


@dataclass(frozen=True)
class RecordRows:
    """Rows of a record file; see :class:`~components.shared.training.rows.TrainingRows`."""

    file: RecordFile
    device: torch.device
    views: Views = PLAIN
    """What the logits are of."""
    mask: npt.NDArray[np.bool_] | None = None
    """Which rows of the file these are; all by default."""

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Rows of each chunk that are among these."""
        starts = np.arange(self.file.chunks) * self.file.index.chunk_rows
        if self.mask is None:
            return np.diff(starts, append=self.file.index.rows)
        return np.add.reduceat(self.mask, starts, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def part(self, rows: Tensor) -> "RecordRows":
        """Some of the rows, in the order of the file whatever the order of the numbers."""
        chosen = np.zeros(len(self), np.bool_)
        chosen[rows.numpy()] = True
        if self.mask is None:
            return replace(self, mask=chosen)
        mask = self.mask.copy()
        mask[mask] = chosen
        return replace(self, mask=mask)

    def labelled(self) -> "RecordRows":
        """The rows that have a label."""
        if self.file.index.labelled == self.file.index.rows:
            return self
        return self.part(self.labels() >= 0)

    def labels(self) -> Tensor:
        """The labels of all rows, shape (rows,)."""
        parts = [records["label"].astype(np.int64) for records in self._scan()]
        return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *parts]))

    def shuffled(self, batch_size: int, generator: torch.Generator) -> "RecordBatches":
        """Endless batches; of ``generator`` only the seed is used."""
        return RecordBatches(self, batch_size, generator.initial_seed())

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order; the last batch may be smaller."""
        waiting: list[Batch] = []
        for records in self._scan():
            columns = Columns.of(records)
            waiting.append(Span(columns, 0, len(records)).batch(0, self.device))
            while (count := sum(len(part.labels) for part in waiting)) >= batch_size:
                together = _joined(waiting)
                yield _part(together, slice(batch_size))
                waiting = [_part(together, slice(batch_size, None))]
                if count == batch_size:
                    waiting = []
        if waiting:
            yield _joined(waiting)

    def chosen(self, chunks: Sequence[int]) -> Records:
        """Those rows of some chunks that are among these."""
        records = self.file.read(chunks)
        if self.mask is None:
            return records
        ranges = [self.file.rows_of(chunk) for chunk in chunks]
        mask = np.concatenate([self.mask[rows.start : rows.stop] for rows in ranges])
        found: Records = records[mask]
        return found

    def _scan(self) -> Iterator[Records]:
        chunks = np.flatnonzero(self.counts).tolist()
        for start in range(0, len(chunks), _SCANNED_CHUNKS):
            yield self.chosen(chunks[start : start + _SCANNED_CHUNKS])


class Columns(NamedTuple):
    """Records as tensors, as narrow as they are in the file, on the CPU."""

    inputs: Tensor
    labels: Tensor
    logits: Tensor
    """Shape (rows, views, classes)."""
    positions: Tensor

    @classmethod
    def of(cls, records: Records) -> "Columns":
        """The fields, each in one piece."""
        return cls(
            *(
                torch.from_numpy(np.ascontiguousarray(records[name]))
                for name in ("inputs", "label", "logits", "position")
            )
        )


@dataclass(frozen=True)
class Span:
    """Successive rows of some columns."""

    columns: Columns
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def batch(self, view: int, device: torch.device, share: slice = slice(None)) -> Batch:
        """The rows as a model takes them, with the inputs of a share of them."""
        inputs, labels, logits, positions = (
            field[self.start : self.stop] for field in self.columns
        )
        return Batch(
            inputs[share].to(device).float(),
            labels.to(device).long(),
            (logits[:, view] if logits.shape[1] else logits[:, :, 0]).to(device).float(),
            positions,
        )


class RecordBatches:
    """Endless batches: every epoch in a new order, short last batches left out."""

    def __init__(self, rows: RecordRows, batch_size: int, seed: int) -> None:
        self._rows, self._seed = rows, seed
        self._chunks = np.flatnonzero(rows.counts)
        self._size = min(batch_size, len(rows))
        self._share = ranks().share(self._size)
        row_bytes = rows.file.dtype.itemsize * rows.file.index.chunk_rows
        self._window_chunks = max(1, _WINDOW_BYTES // row_bytes)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="rows")
        self._epoch = self._window = self._offset = 0
        self._last_order = (-1, self._chunks)
        self._current = self._load(0, 0)
        self._ahead = self._read_ahead()

    def next(self, view: int = 0, mix: bool = False) -> Batch:
        """The next batch; to mix it, every process makes the inputs of all rows."""
        spans = self._next_spans()
        device = self._rows.device
        if mix:
            whole = _joined([span.batch(view, device) for span in spans])
            return _among_themselves(whole, self._share)
        shares = _shares(spans, self._share)
        return _joined(
            [span.batch(view, device, share) for span, share in zip(spans, shares, strict=True)]
        )

    def _next_spans(self) -> list[Span]:
        spans: list[Span] = []
        missing = self._size
        while missing:
            if self._offset == len(self._current.labels):
                before = self._epoch
                self._advance()
                if self._epoch != before:
                    spans, missing = [], self._size
            stop = min(self._offset + missing, len(self._current.labels))
            spans.append(Span(self._current, self._offset, stop))
            missing -= stop - self._offset
            self._offset = stop
        return spans

    def state(self) -> dict[str, Any]:
        """Epoch, window, and the rows of it that were read."""
        return {"epoch": self._epoch, "window": self._window, "offset": self._offset}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; only its window is read again."""
        self._epoch, self._window = state["epoch"], state["window"]
        self._offset = state["offset"]
        self._current = self._load(self._epoch, self._window)
        self._ahead = self._read_ahead()

    def _advance(self) -> None:
        self._epoch, self._window = self._following()
        self._offset = 0
        self._current = self._ahead.result()
        self._ahead = self._read_ahead()

    def _read_ahead(self) -> "Future[Columns]":
        return self._reading.submit(self._load, *self._following())

    def _following(self) -> tuple[int, int]:
        last = (self._window + 1) * self._window_chunks >= len(self._chunk_order(self._epoch))
        return (self._epoch + 1, 0) if last else (self._epoch, self._window + 1)

    def _chunk_order(self, epoch: int) -> npt.NDArray[np.int64]:
        known, order = self._last_order
        if known != epoch:
            order = self._chunks[chunk_order(len(self._chunks), self._seed, epoch).numpy()]
            self._last_order = (epoch, order)
        return order

    def _load(self, epoch: int, window: int) -> Columns:
        first = window * self._window_chunks
        chunks = self._chunk_order(epoch)[first : first + self._window_chunks]
        records = self._rows.chosen(chunks.tolist())
        order = row_order(len(records), self._seed, epoch, window)
        return Columns.of(records.take(order.numpy()))


def _shares(spans: Sequence[Span], share: slice) -> Iterator[slice]:
    """Of each of successive spans, the rows that are in a share of them all."""
    before = 0
    for span in spans:
        start, stop = (min(max(end - before, 0), len(span)) for end in (share.start, share.stop))
        yield slice(start, stop)
        before += len(span)


def _joined(parts: Sequence[Batch]) -> Batch:
    """Successive batches as one; without a copy where there is one only."""
    if len(parts) == 1:
        return parts[0]
    return _batch([torch.cat(fields) for fields in zip(*map(_columns, parts), strict=True)])


def _part(batch: Batch, rows: slice) -> Batch:
    return _batch([column[rows] for column in _columns(batch)])


def _batch(columns: Sequence[Tensor]) -> Batch:
    inputs, labels, teacher_logits, positions = columns
    return Batch(inputs, labels, teacher_logits, positions)


def _columns(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a batch has of each row where none is mixed with another."""
    return batch.inputs, batch.labels, batch.teacher_logits, batch.positions


def _among_themselves(batch: Batch, share: slice) -> Batch:
    """A batch with the next of its rows as the partner of each, and the inputs of a share."""
    partners = Partners(
        batch.inputs.roll(-1, 0)[share],
        batch.labels.roll(-1),
        batch.positions.roll(-1),
        alone=torch.zeros(len(batch.labels), dtype=torch.bool),
    )
    return batch._replace(inputs=batch.inputs[share], partners=partners)
