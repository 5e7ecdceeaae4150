"""Training rows to calibrate and to check with."""

import math

import numpy as np

from components.compression.deploying import Inputs
from components.shared.dataset import Dataset

_POOL_BYTES = 2**26


def training_inputs(data: Dataset, seed: int) -> Inputs:
    """Raw features of the training rows: all, or a random sample of 64 MiB in their order.

    Args:
        data: the data set.
        seed: seed of the sample.

    Returns:
        Shape (rows, \\*input shape).

    Raises:
        UserError: the data are damaged, or changed since they were resolved.
    """
    total = data.manifest.rows["labelled"] + data.manifest.rows["unlabelled"]
    most = max(1, _POOL_BYTES // (4 * math.prod(data.manifest.input.shape)))
    if total <= most:
        return data.load("labelled", "unlabelled").inputs
    chosen = np.random.default_rng(seed).choice(total, most, replace=False)
    chosen.sort()
    found: Inputs = np.empty((most, *data.manifest.input.shape), np.float32)
    before = filled = 0
    for batch in data.batches("labelled", "unlabelled"):
        stop = int(np.searchsorted(chosen, before + len(batch)))
        found[filled:stop] = batch.inputs[chosen[filled:stop] - before]
        before, filled = before + len(batch), stop
    return found


def random_rows(inputs: Inputs, rows: int, seed: int) -> Inputs:
    """A random sample of training rows, in their order; all, where there are fewer than asked for.

    Args:
        inputs: raw features of all training rows, shape (rows, \\*input shape).
        rows: how many.
        seed: seed of the sample.
    """
    chosen = np.random.default_rng(seed).permutation(len(inputs))[:rows]
    return inputs[np.sort(chosen)]
