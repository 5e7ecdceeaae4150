"""Feature objectives that compare a row's hidden layers with the teacher's: one value for each row.

Layers are brought into one form first, (rows, places, width): the places of an image's map are its
pixels and its width is its channels; those of a text are its tokens; a vector has one place.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor


class Pair(NamedTuple):
    """A layer of the student and one of the teacher, of the same number of places."""

    student: Tensor
    """Shape (rows, places, width)."""
    teacher: Tensor
    """Shape (rows, places, another width)."""


def aligned(student: Tensor, teacher: Tensor) -> Pair:
    """Two layers, in the form above; where they differ in size, the larger one is averaged over
    neighbouring places (adaptive average pooling).

    Args:
        student: a map (rows, channels, height, width), tokens (rows, tokens, dims), or a vector
            (rows, dims).
        teacher: likewise. Where one is a map and the other tokens, both are averaged over all
            places, as is whatever is compared with a vector.
    """
    if student.dim() == teacher.dim() == 4:
        size = [min(student.shape[axis], teacher.shape[axis]) for axis in (2, 3)]
        return Pair(placed(_map_of(student, size)), placed(_map_of(teacher, size)))
    first, second = placed(student), placed(teacher)
    alike = student.dim() == teacher.dim()
    places = min(first.shape[1], second.shape[1]) if alike else 1
    return Pair(_averaged(first, 1, places), _averaged(second, 1, places))


def placed(layer: Tensor) -> Tensor:
    """A map, tokens or a vector as (rows, places, width); in single precision at least."""
    layer = widened(layer)
    if layer.dim() == 2:
        return layer.unsqueeze(1)
    return layer if layer.dim() == 3 else layer.flatten(2).transpose(1, 2)


def widened(layer: Tensor) -> Tensor:
    """The layer in single precision at least."""
    return layer.float() if layer.dtype in (torch.bfloat16, torch.float16) else layer


def squared_layer_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of (student - teacher)², Romero et al., arXiv 1412.6550, equation 3, as a mean.

    Args:
        student: shape (rows, places, width).
        teacher: the same shape.

    Returns:
        One value a row, shape (rows,), at least 0; 0 for equal layers.
    """
    return ((student - teacher) ** 2).mean(dim=(1, 2))


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine of the angle between both, mean over the places (Sanh et al., arXiv 1910.01108).

    Args:
        student: shape (rows, places, width).
        teacher: the same shape.

    Returns:
        One value a row, shape (rows,), 0 to 2; 0 where one is a positive multiple of the other at
        every place, 1 where one is zero.
    """
    return 1 - F.cosine_similarity(student, teacher, dim=2).mean(dim=1)


def attention(layer: Tensor) -> Tensor:
    """Where a layer's channels are large: mean of their squares, over its norm.

    Zagoruyko & Komodakis, arXiv 1612.03928, section 3.1, as in their code (a mean of squares).

    Args:
        layer: shape (rows, places, width).

    Returns:
        Shape (rows, places), of norm 1, or 0 where the layer is.
    """
    return F.normalize((layer**2).mean(dim=2), dim=1)


def attention_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared distance of attention maps, as in the authors' code.

    Args:
        student: shape (rows, places, width).
        teacher: of as many places, and any width.

    Returns:
        One value a row, shape (rows,), at least 0; 0 where the maps are equal, whatever the scale.
    """
    return ((attention(student) - attention(teacher)) ** 2).mean(dim=1)


def _map_of(layer: Tensor, size: list[int]) -> Tensor:
    return _averaged(_averaged(layer, 2, size[0]), 3, size[1])


def _averaged(layer: Tensor, axis: int, size: int) -> Tensor:
    """Adaptive average pooling along an axis: number i of the result is the mean of those from
    floor(i · n / size) up to ceil((i + 1) · n / size).

    It is a product with a matrix, whose gradient is the same in every run on GPUs too.
    """
    count = layer.shape[axis]
    if count == size:
        return layer
    if size == 1:
        return layer.mean(dim=axis, keepdim=True)
    number, place = torch.arange(size)[:, None], torch.arange(count)[None, :]
    inside = (place >= number * count // size) & (place < -(-(number + 1) * count // size))
    means = (inside / inside.sum(dim=1, keepdim=True)).to(layer)
    return (layer.movedim(axis, -1) @ means.T).movedim(-1, axis)
