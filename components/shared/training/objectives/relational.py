"""Relation objectives: what hidden layers say of the rows of a batch among themselves.

All look across the whole batch; the loss of a batch is not the mean of those of its parts. The
layers of student and teacher may differ in width. Of one row alone all of them are 0, but that of
CKA, which is 1.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

_NEAR = 1e-12
"""Squared distance below which two rows are in the same place."""
_SMALLEST = 1e-12


class Constellation:
    """Rows as points: how far they are from each other, and in which directions."""

    def __init__(self, layer: Tensor) -> None:
        """Take the differences.

        Args:
            layer: shape (rows, width).
        """
        differences = layer[None] - layer[:, None]
        squares = (differences**2).sum(dim=2)
        self._apart = squares > _NEAR
        self._lengths = torch.where(self._apart, squares, 1.0).sqrt()
        self._differences = differences

    def distances(self) -> Tensor:
        """Distance of each two rows, over the mean of those that are apart, shape (rows, rows)."""
        lengths = torch.where(self._apart, self._lengths, 0.0)
        return lengths * (self._apart.sum() / lengths.sum().clamp(min=_SMALLEST))

    def angles(self) -> Tensor:
        """Cosine of the angle at row i between rows j and k, shape (rows, rows, rows); 0 where two
        are in the same place."""
        directions = self._differences * (self._apart / self._lengths)[:, :, None]
        cosines: Tensor = directions @ directions.transpose(1, 2)
        return cosines


def distance_relation(student: Constellation, teacher: Constellation) -> Tensor:
    """Huber distance of the distances of rows, a scalar, Park et al., arXiv 1904.05068, equation 6.

    The mean is over all pairs, as in the authors' code. It is the same for layers that are moved,
    rotated or scaled.
    """
    return F.smooth_l1_loss(student.distances(), teacher.distances())


def angle_relation(student: Constellation, teacher: Constellation) -> Tensor:
    """Huber distance of the angles among rows, a scalar, arXiv 1904.05068, equation 8; with the
    invariances of :func:`distance_relation`. Time and memory grow with the cube of the rows."""
    return F.smooth_l1_loss(student.angles(), teacher.angles())


def similarity_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared distance of the matrices of the rows' products, each row of which is normalised.

    Tung & Mori, arXiv 1907.09682, equations 1 to 4.

    Args:
        student: shape (rows, width).
        teacher: shape (rows, another width).

    Returns:
        A scalar, at least 0; 0 for layers that are equal up to a rotation and a factor.
    """
    matrices = [F.normalize(layer @ layer.T, dim=1) for layer in (student, teacher)]
    return F.mse_loss(matrices[0], matrices[1])


def alignment_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - linear CKA, Kornblith et al., arXiv 1905.00414, equation 4 with linear kernels.

    Args:
        student: shape (rows, width).
        teacher: shape (rows, another width).

    Returns:
        A scalar, 0 to 1; 0 for layers that are equal up to a shift, a rotation and a factor, and 1
        where either is the same for all rows.
    """
    first, second = (_centred_products(layer) for layer in (student, teacher))
    norms = first.norm() * second.norm()
    distance: Tensor = 1 - (first * second).sum() / norms.clamp(min=_SMALLEST)
    return distance


def _centred_products(layer: Tensor) -> Tensor:
    """K · H of equation 1 there: products of rows that have the mean row subtracted."""
    centred = layer - layer.mean(dim=0)
    products = centred @ centred.T
    largest = products.detach().diagonal().amax().clamp(min=_SMALLEST)
    scaled: Tensor = products / largest
    return scaled
