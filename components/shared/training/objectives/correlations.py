"""DIST: the student's probabilities need only correlate with the teacher's.

Huang et al., arXiv 2205.10536.
"""

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

_EPSILON = 1e-16
"""Added to variances."""


class Relations:
    """How far teacher and student are from correlating, at one temperature."""

    def __init__(self, logits: Tensor, teacher_logits: Tensor, temperature: float) -> None:
        """Take the probabilities.

        Args:
            logits: the student's, shape (rows, classes).
            teacher_logits: the teacher's, shape (rows, classes).
            temperature: T > 0.
        """
        self._student = F.softmax(logits / temperature, dim=1)
        self._teacher = F.softmax(teacher_logits / temperature, dim=1)
        self._scale = temperature**2

    def of_rows(self) -> Tensor:
        """T² · (1 - correlation over the classes) of each row, shape (rows,), equation 7."""
        return self._scale * (1 - correlation(self._student, self._teacher))

    def of_classes(self) -> Tensor:
        """T² · (1 - correlation over the rows), mean over the classes, a scalar; equation 9.

        It looks across the batch: of one row there is none, and that of a batch is not the mean of
        those of its parts.
        """
        return self._scale * (1 - correlation(self._student.T, self._teacher.T)).mean()


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of each row, -1 to 1; 0 where either is constant.

    Args:
        first: shape (rows, columns).
        second: the same shape.
    """
    width = first.shape[1:]
    pair = [F.layer_norm(part, width, eps=_EPSILON) for part in (first, second)]
    return (pair[0] * pair[1]).mean(dim=1)
