"""The processes that train one model together: who they are, and what they tell each other.

Each is a *rank*. All of them see the same seeded order of rows, and split every batch among them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from components.shared.errors import UserError

_PATIENCE = timedelta(hours=2)
"""How long ranks wait for one that does something alone: writes the rows of a node to its disk, or
a checkpoint. One that died is noticed at once."""

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them."""

    rank: int = 0
    """This one, counted from 0."""
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that reports, and writes what is kept."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    def share(self, rows: int) -> slice:
        """Which rows of a batch are this rank's; shares differ by at most one row."""
        return _share(rows, self.rank, self.count)

    def check_batch(self, rows: int, label: str) -> None:
        """Refuse a batch of which some rank would get nothing.

        Raises:
            UserError: it has fewer rows than there are processes.
        """
        if rows < self.count:
            raise UserError(
                f"training of {label}: a batch of {rows} rows cannot be split among {self.count} "
                "processes; raise training.batch_size, give more rows, or train with fewer "
                "processes"
            )

    def whole(self, share: Tensor, rows: int) -> Tensor:
        """The rows of a batch that all ranks have a share of.

        Args:
            share: this rank's, shape (its rows, \\*shape of one).
            rows: of the batch.

        Returns:
            Shape (rows, \\*shape of one), the same on all ranks; gradients flow into this rank's
            share.
        """
        if self.alone:
            return share
        largest = -(-rows // self.count)
        behind = (0, 0) * (share.dim() - 1)
        padded = F.pad(share.detach(), (*behind, 0, largest - len(share)))
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(parts, padded)
        shares = [_share(rows, rank, self.count) for rank in range(self.count)]
        pieces = [part[: s.stop - s.start] for part, s in zip(parts, shares, strict=True)]
        pieces[self.rank] = share
        return torch.cat(pieces)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their mean over the ranks; one that is not there counts as zero."""
        if self.alone or not parameters:
            return
        found = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        together = torch.cat([gradient.flatten() for gradient in found])
        dist.all_reduce(together)
        parts = torch.split(together / self.count, [gradient.numel() for gradient in found])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank; all have to ask."""
        return flag if self.alone else self.total(int(flag)) > 0

    def total(self, number: int) -> int:
        """The sum of the ranks' numbers; all have to ask."""
        if self.alone:
            return number
        tensor = torch.tensor(number)
        dist.all_reduce(tensor)
        return int(tensor)

    def from_first(self, make: Callable[[], ValueT]) -> ValueT:
        """What the first rank makes, for all."""
        if self.alone:
            return make()
        values = [make() if self.first else None]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        value: ValueT = values[0]  # type: ignore[assignment]
        return value


def _share(rows: int, rank: int, count: int) -> slice:
    return slice(rank * rows // count, (rank + 1) * rows // count)


def ranks() -> Ranks:
    """Those of this process; it is alone unless it :func:`joined`."""
    if not dist.is_initialized():
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size())


def is_of_a_peer(error: Exception) -> bool:
    """Whether an error says no more than that another rank is gone."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo/transport" in str(error)
    )


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the ranks that the environment names, as torchrun sets it; on a GPU each where there
    are GPUs.

    Tensors of the CPU go through gloo, those of a GPU through NCCL.
    """
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=_PATIENCE)
    try:
        yield ranks()
    finally:
        dist.destroy_process_group()
