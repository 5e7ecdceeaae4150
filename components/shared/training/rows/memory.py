"""Rows in memory: tensors that are sliced, with no loader in between."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from components.shared.soft_labels import Views
from components.shared.training.distributed import ranks
from components.shared.training.rows.protocol import PLAIN, Batch, Partners


@dataclass(frozen=True)
class MemoryRows:
    """Rows as tensors; see :class:`~components.shared.training.rows.TrainingRows`."""

    inputs: Tensor
    """Raw features, shape (rows, \\*input shape), on the device to use."""
    targets: Tensor
    """Class indices, shape (rows,), on the device to use; -1 where there is none."""
    teacher_logits: tuple[Tensor, ...]
    """For each view, shape (rows, classes), on the device to use; none where there is no
    teacher."""
    positions: Tensor
    """Number of each row over the whole data set, shape (rows,), on the CPU."""
    views: Views = PLAIN
    """What the logits are of."""
    numbers: Tensor | None = None
    """Which rows of the tensors these are, shape (rows,), on the CPU; all by default."""
    partners: tuple[Tensor, ...] = ()
    """For each augmented view that mixes rows, which row of the tensors each is mixed with, shape
    (rows,), on the CPU."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.inputs.device

    def __len__(self) -> int:
        return len(self.positions if self.numbers is None else self.numbers)

    def part(self, rows: Tensor) -> "MemoryRows":
        """Some rows, in the order of the numbers, which share the tensors with these."""
        numbers = rows.nonzero().flatten() if rows.dtype == torch.bool else rows
        return replace(self, numbers=numbers if self.numbers is None else self.numbers[numbers])

    def labelled(self) -> "MemoryRows":
        """The rows that have a label."""
        return self.part(self.labels() >= 0)

    def labels(self) -> Tensor:
        """The labels of all rows, shape (rows,), on the CPU."""
        labels = self.targets.cpu()
        return labels if self.numbers is None else labels[self.numbers]

    def shuffled(self, batch_size: int, generator: torch.Generator) -> "_MemoryBatches":
        """Endless batches in an order that is drawn from ``generator``, epoch by epoch."""
        return _MemoryBatches(self, BatchSampler(len(self), batch_size, generator))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            yield self.batch(slice(start, start + batch_size), 0)

    def batch(self, rows: Tensor | slice, view: int, share: slice = slice(None)) -> Batch:
        """Some rows as a batch, with the inputs of a share of them where rows are numbers."""
        if self.numbers is not None:
            rows = self.numbers[rows]
        mine = rows[share] if isinstance(rows, Tensor) else rows
        labels = self.targets[rows]
        logits = (
            self.teacher_logits[view][rows]
            if self.teacher_logits
            else self.inputs.new_empty(len(labels), 0)
        )
        return Batch(self.inputs[mine], labels, logits, self.positions[rows])

    def mixing_batch(self, rows: Tensor, view: int, share: slice) -> Batch:
        """A batch of a view that mixes rows, or of the plain rows, to be mixed with one another.

        A row whose partner is not among these rows is plain, and so are its logits: nothing is
        learned from rows that are held out.
        """
        batch = self.batch(rows, view, share)
        numbers = rows if self.numbers is None else self.numbers[rows]
        others = self.partners[view - 1][numbers] if view else numbers.roll(-1)
        alone = ~self._among_these[others]
        if self.teacher_logits and alone.any():
            plain = self.teacher_logits[0][numbers[alone]]
            batch.teacher_logits[alone] = plain
        partners = Partners(
            self.inputs[others[share]], self.targets[others], self.positions[others], alone
        )
        return batch._replace(partners=partners)

    @cached_property
    def _among_these(self) -> Tensor:
        """Mask of the tensors' rows."""
        if self.numbers is None:
            return torch.ones(len(self.positions), dtype=torch.bool)
        mask = torch.zeros(len(self.positions), dtype=torch.bool)
        mask[self.numbers] = True
        return mask


class _MemoryBatches:
    def __init__(self, rows: MemoryRows, sampler: "BatchSampler") -> None:
        self._rows, self._sampler, self._ranks = rows, sampler, ranks()

    def next(self, view: int = 0, mix: bool = False) -> Batch:
        rows = self._sampler.next()
        share = self._ranks.share(len(rows))
        if mix or (view and self._rows.partners):
            return self._rows.mixing_batch(rows, view, share)
        return self._rows.batch(rows, view, share)

    def state(self) -> dict[str, Any]:
        return self._sampler.state()

    def restore(self, state: dict[str, Any]) -> None:
        self._sampler.restore(state)


class BatchSampler:
    """Endless batches of row indices: every epoch in a new order, short last batches left out."""

    def __init__(self, rows: int, batch_size: int, generator: torch.Generator) -> None:
        self._rows, self._size = rows, min(batch_size, rows)
        self._generator = generator
        self._before = generator.get_state()
        self._order = torch.empty(0, dtype=torch.int64)
        self._position = rows

    def next(self) -> Tensor:
        """Indices of the next batch, shape (batch,)."""
        if self._position + self._size > self._rows:
            self._before = self._generator.get_state()
            self._order = torch.randperm(self._rows, generator=self._generator)
            self._position = 0
        batch = self._order[self._position : self._position + self._size]
        self._position += self._size
        return batch

    def state(self) -> dict[str, Any]:
        """The position, and the generator's state before the present order was drawn from it."""
        return {"position": self._position, "before": self._before}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; the generator's own is the caller's to restore, afterwards."""
        self._position, self._before = state["position"], state["before"]
        generator = torch.Generator()
        generator.set_state(self._before)
        self._order = torch.randperm(self._rows, generator=generator)
