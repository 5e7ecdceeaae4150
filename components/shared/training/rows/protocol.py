"""What a training can ask of its rows, wherever they lie."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from components.shared.soft_labels import Views

PLAIN = Views()
"""Rows as they are."""


class Partners(NamedTuple):
    """For each row of a batch another one, which it is to be mixed with."""

    inputs: Tensor
    """Like those of the batch, and of the same share of its rows."""
    labels: Tensor
    """Shape (rows,); -1 where there is none."""
    positions: Tensor
    """Shape (rows,), on the CPU."""
    alone: Tensor
    """Rows that are shown plain, since their partner is not to be learned from: a mask of shape
    (rows,), on the CPU."""


class Mixed(NamedTuple):
    """Rows that were mixed with others."""

    labels: Tensor
    """Of the others, shape (rows,); -1 where there is none."""
    shares: Tensor
    """What a row has of itself, 0 to 1, float32, shape (rows,)."""


class Batch(NamedTuple):
    """Some rows, on the device of the model.

    Of a batch to train on, a process that is one of several has the inputs of its own share alone;
    all else is always of all rows.
    """

    inputs: Tensor
    """Raw features, float32, shape (rows, \\*input shape)."""
    labels: Tensor
    """Class indices, shape (rows,); -1 where there is none."""
    teacher_logits: Tensor
    """Of one view of the rows, float32, shape (rows, classes); (rows, 0) where there is no
    teacher."""
    positions: Tensor
    """Number of each row over the whole data set, shape (rows,), on the CPU."""
    partners: Partners | None = None
    """Where a view mixes rows."""
    mixed: Mixed | None = None
    """Where rows were mixed, and the labels are not all that is to be learned."""


class BatchSource(Protocol):
    """Endless batches: every epoch in a new order, short last batches left out."""

    def next(self, view: int = 0, mix: bool = False) -> Batch:
        """The next batch: plain rows, with the teacher's logits for a view of them.

        Args:
            view: a stored one; where it mixes rows, with their partners.
            mix: with the next row of the batch as the partner of each, for views that are not
                stored.
        """

    def state(self) -> dict[str, Any]:
        """Where it is: numbers and tensors, from which :meth:`restore` continues."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the batch that came after ``state`` was taken."""


class TrainingRows(Protocol):
    """Rows with inputs, labels and the teacher's logits, numbered from 0."""

    @property
    def device(self) -> torch.device:
        """Where batches go."""

    @property
    def views(self) -> Views:
        """The views of each row that have logits; the plain one where there is no teacher."""

    def __len__(self) -> int: ...

    def part(self, rows: Tensor) -> "TrainingRows":
        """Some of the rows.

        Args:
            rows: numbers of rows, or a mask of shape (len(self),).
        """

    def labelled(self) -> "TrainingRows":
        """The rows that have a label."""

    def labels(self) -> Tensor:
        """The labels of all rows, shape (rows,), on the CPU."""

    def shuffled(self, batch_size: int, generator: torch.Generator) -> BatchSource:
        """Endless batches in an order that the generator's seed decides.

        Args:
            batch_size: rows of a batch, or all rows where there are fewer.
            generator: freshly seeded; the order may be drawn from it.
        """

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order; the last batch may be smaller. Logits are of view 0."""
