"""Standardised logits: a transform that other objectives are applied after."""

import math

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

_EPSILON = 1e-14
"""Added to the variance."""


def standardised(logits: Tensor) -> Tensor:
    """Each row less its mean, over its standard deviation (Sun et al., arXiv 2403.01427, eq. 11).

    The standard deviation is the unbiased one. The result is the same for a · logits + b with any
    a > 0 and b.

    Args:
        logits: shape (rows, classes).

    Returns:
        The same shape; 0 where all logits of a row are alike.
    """
    classes = logits.shape[1]
    unbiased = math.sqrt(1 - 1 / classes)
    return F.layer_norm(logits, (classes,), eps=_EPSILON) * unbiased
