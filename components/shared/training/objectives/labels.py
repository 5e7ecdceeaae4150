"""Cross-entropy with the labels that rows have, also where rows were mixed."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from components.shared.training.objectives.response import cross_entropy
from components.shared.training.rows import Batch


def label_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy with a row's label; for mixed rows share · CE(own) + (1 - share) · CE(other).

    Zhang et al., arXiv 1710.09412, section 2 (of the two labels, which is the same as of the
    labels' mixture).

    Args:
        logits: shape (rows, classes).
        batch: the labels of its rows, and of those that they were mixed with.

    Returns:
        Shape (rows,); 0 where a label is not known that the row has something of.
    """
    own = F.cross_entropy(logits, batch.labels, ignore_index=-1, reduction="none")
    if batch.mixed is None:
        return own
    others, shares = batch.mixed
    other = F.cross_entropy(logits, others, ignore_index=-1, reduction="none")
    known = ((batch.labels >= 0) | (shares == 0)) & ((others >= 0) | (shares == 1))
    return torch.where(known, shares * own + (1 - shares) * other, 0.0)


def mean_label_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """The mean of :func:`label_entropy` over a batch, all of whose rows have a label."""
    if batch.mixed is None:
        return cross_entropy(logits, batch.labels)
    return label_entropy(logits, batch).mean()
