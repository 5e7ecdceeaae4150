"""Mean and standard deviation of the training rows: in memory, or in one pass over many."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.shared.preprocessing import Preprocessing

_AT_ONCE_BYTES = 2**24
_BLOCK_VALUES = 2**18
_Numbers = npt.NDArray[np.float64]


def standardisation(inputs: Tensor) -> Preprocessing:
    """Mean and standard deviation: per column, or per channel of images.

    Missing values (NaN) are left out. A constant column gets a standard deviation of 1, one without
    any value a mean of 0.

    Args:
        inputs: raw features, shape (rows, columns) or (rows, channels, height, width).
    """
    if inputs.nbytes > _AT_ONCE_BYTES or inputs.isnan().any():
        return streamed_standardisation([inputs.cpu().numpy()])
    axes = [axis for axis in range(inputs.dim()) if axis != 1]
    mean = inputs.double().mean(dim=axes)
    std = inputs.double().std(dim=axes, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Preprocessing(mean=mean.float().tolist(), std=std.float().tolist())


def streamed_standardisation(parts: Iterable[npt.NDArray[np.float32]]) -> Preprocessing:
    """The same over rows that come in parts, of which one at a time is in memory.

    Sums of squares about the mean are merged as Chan, Golub & LeVeque (1979) do, in float64.
    """
    count: _Numbers = np.zeros(1)
    mean: _Numbers = np.zeros(1)
    squares: _Numbers = np.zeros(1)
    for block in (block for part in parts for block in _blocks(part)):
        values = np.moveaxis(block, 1, 0).reshape(block.shape[1], -1).astype(np.float64)
        there = ~np.isnan(values)
        new = there.sum(axis=1)
        total = np.maximum(count + new, 1)
        values = np.where(there, values, 0)
        new_mean = values.sum(axis=1) / np.maximum(new, 1)
        new_squares = (np.where(there, values - new_mean[:, None], 0) ** 2).sum(axis=1)
        difference = new_mean - mean
        squares = squares + new_squares + difference**2 * count * new / total
        mean = mean + difference * new / total
        count = count + new
    std = np.sqrt(squares / np.maximum(count, 1))
    std = np.where(std > 0, std, 1)
    return Preprocessing(mean=mean.astype(np.float32).tolist(), std=std.astype(np.float32).tolist())


def _blocks(part: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """Successive rows, since float64 takes twice the memory, and several times."""
    rows = max(1, _BLOCK_VALUES // max(1, part[:1].size))
    for start in range(0, len(part), rows):
        yield part[start : start + rows]
