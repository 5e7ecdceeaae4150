"""A network whose batches are spread over ranks, with the gradients of a whole batch.

Layers that look across the rows of a batch, or draw random numbers for them, do so for the whole
batch: statistics of batch normalisation are merged, and a mask of dropout is drawn for all rows on
every rank, from the same seed. Those that a network keeps in evaluation mode stay in it.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from components.shared.training.distributed import Ranks


@dataclass
class _Rows:
    """How many rows the batch at hand has, for the layers inside."""

    whole: int = 0


class SpreadNetwork(nn.Module):
    """Shares of batches in, logits of whole batches out. Parameters and buffers are the network's
    own."""

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self._ranks, self._rows = ranks, _Rows()
        on_gpu = next(network.parameters()).is_cuda
        self._spread = DistributedDataParallel(
            _spread(network, ranks, self._rows).train(),
            device_ids=[torch.cuda.current_device()] if on_gpu else None,
            forward_sync_buffers=False,  # they are the same on all ranks
            gradient_as_bucket_view=True,
        )

    @property
    def network(self) -> nn.Module:
        """What each rank runs on its share: modules by the same paths as those of the network."""
        spread: nn.Module = self._spread.module
        return spread

    def forward(self, share: Tensor, rows: int) -> Tensor:
        """Logits of a whole batch, shape (rows, classes), for this rank's rows of it."""
        self._rows.whole = rows
        return self._ranks.whole(self._spread(share), rows)

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss of a whole batch, which is the same on all ranks.

        Each rank has those that its rows contribute, and their mean over the ranks is taken.
        """
        (loss * self._ranks.count).backward()  # type: ignore[no-untyped-call]


class SpreadCompanion:
    """A network beside the one that is trained: it sees batches as :class:`SpreadNetwork` does, and
    whoever trains it takes the mean of its gradients (:meth:`Ranks.average_gradients`)."""

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        self._ranks, self._rows = ranks, _Rows()
        self._spread = _spread(network, ranks, self._rows).train()

    def __call__(self, share: Tensor, rows: int) -> Tensor:
        """Logits of a whole batch, shape (rows, classes), for this rank's rows of it."""
        self._rows.whole = rows
        return self._ranks.whole(self._spread(share), rows)


def _spread(module: nn.Module, ranks: Ranks, rows: _Rows) -> nn.Module:
    """The same module on the same parameters, with other layers where a batch is seen whole."""
    if isinstance(module, nn.Dropout):
        return _SpreadDropout(module.p, ranks, rows)
    if isinstance(module, _BatchNorm):
        return _SpreadBatchNorm(module, ranks, rows)
    spread = copy.copy(module)
    spread._modules = {
        name: child and _spread(child, ranks, rows) for name, child in module._modules.items()
    }
    return spread


class _SpreadDropout(nn.Module):
    """What :class:`torch.nn.Dropout` drops of a whole batch."""

    def __init__(self, p: float, ranks: Ranks, rows: _Rows) -> None:
        super().__init__()
        self._p, self._ranks, self._rows = p, ranks, rows

    def forward(self, share: Tensor) -> Tensor:
        if not self.training:
            return share
        rows = self._rows.whole
        kept = F.dropout(share.new_ones(rows, *share.shape[1:]), self._p)
        return share * kept[self._ranks.share(rows)]


class _SpreadBatchNorm(nn.Module):
    """:class:`torch.nn.BatchNorm2d` and its like, over a whole batch."""

    def __init__(self, module: _BatchNorm, ranks: Ranks, rows: _Rows) -> None:
        super().__init__()
        self._module, self._ranks, self._rows = module, ranks, rows

    def forward(self, share: Tensor) -> Tensor:
        module = self._module
        if not self.training:
            plain: Tensor = module(share)
            return plain
        places = share[0, 0].numel()
        local, count = len(share) * places, self._rows.whole * places
        mean, variance = _merged_statistics(share, local, count, self._ranks)
        with torch.no_grad():
            module.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            momentum = module.momentum
            module.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr, arg-type]
            unbiased = variance * (count / (count - 1))
            module.running_var.lerp_(unbiased, momentum)  # type: ignore[union-attr, arg-type]
        normalised: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            share, mean, (variance + module.eps).rsqrt(), count
        )
        shape = (1, -1, *[1] * (share.dim() - 2))
        return normalised * module.weight.view(shape) + module.bias.view(shape)


@torch.no_grad()
def _merged_statistics(
    share: Tensor, local: int, count: int, ranks: Ranks
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel over all ranks (Chan, Golub & LeVeque 1979)."""
    axes = _all_but_channels(share)
    own = torch.stack(
        [
            share.mean(axes),
            share.var(axes, correction=0) * local,
            share.new_full((share.shape[1],), local),
        ]
    )
    gathered = [torch.empty_like(own) for _ in range(ranks.count)]
    dist.all_gather(gathered, own)
    means, squares, counts = torch.stack(gathered).unbind(1)
    mean = (means * counts).sum(0) / count
    return mean, (squares + counts * (means - mean) ** 2).sum(0) / count


class _Normalise(torch.autograd.Function):
    """(x - mean) / std where both are of the whole batch (Ioffe & Szegedy, arXiv 1502.03167)."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, mean: Tensor, inverse: Tensor, count: int) -> Tensor:
        shape = (1, -1, *[1] * (share.dim() - 2))
        normalised = (share - mean.view(shape)) * inverse.view(shape)
        ctx.save_for_backward(normalised, inverse)
        ctx.count = count
        return normalised

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Any) -> Any:
        """All rows of a channel move its mean and variance, those of other ranks too."""
        (gradient,) = gradients
        normalised, inverse = ctx.saved_tensors  # type: ignore[attr-defined]
        axes = _all_but_channels(gradient)
        sums = torch.stack([gradient.sum(axes), (gradient * normalised).sum(axes)])
        dist.all_reduce(sums)
        shape = (1, -1, *[1] * (gradient.dim() - 2))
        of_mean, of_variance = (sums / ctx.count).unbind(0)  # type: ignore[attr-defined]
        moved = of_mean.view(shape) + normalised * of_variance.view(shape)
        return (gradient - moved) * inverse.view(shape), None, None, None


def _all_but_channels(values: Tensor) -> list[int]:
    return [axis for axis in range(values.dim()) if axis != 1]
