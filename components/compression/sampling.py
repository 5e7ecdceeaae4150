"""A random sample of the training rows, to calibrate and to check with."""

import numpy as np

from components.compression.deploying import Inputs


def random_rows(inputs: Inputs, rows: int, seed: int) -> Inputs:
    """A random sample of training rows, in their order; all, where there are fewer than asked for.

    Args:
        inputs: raw features of all training rows, shape (rows, \\*input shape).
        rows: how many.
        seed: seed of the sample.
    """
    chosen = np.random.default_rng(seed).permutation(len(inputs))[:rows]
    return inputs[np.sort(chosen)]
