"""Two rows in one: mixup and CutMix.

Zhang et al., arXiv 1710.09412, and Yun et al., arXiv 1905.04899. What is left of a row, its
*share*, is λ of the papers.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.shared.training.augmentation.bits import (
    Positions,
    choices,
    lower_choices,
    random_bits,
)

_QUANTILES = 2**10
_STEPS = 2**14
_DIGITS = 2.0**16
"""Shares are multiples of its inverse: 1 less one is exact, and no two processors differ."""

Floats = npt.NDArray[np.float64]


def mixup_shares(positions: Positions, seed: int, alpha: float) -> Floats:
    """The share of each row in its mixture, as Beta(alpha, alpha) has it, shape (rows,)."""
    found: Floats = beta_quantiles(alpha)[choices(random_bits(seed, positions), _QUANTILES)]
    return found


def mixed_up(rows: Tensor, others: Tensor, shares: Floats, categories: list[int]) -> Tensor:
    """share · row + (1 - share) · other row, arXiv 1710.09412, equation 1.

    A value that is missing in one of two rows that both have a share is missing in the mixture.

    Args:
        rows: shape (rows, \\*input shape).
        others: what they are mixed with, of the same shape.
        shares: of the rows, 0 to 1, shape (rows,).
        categories: columns of tables that hold codes, which cannot be mixed: that of the row with
            the larger share is taken.
    """
    share = torch.from_numpy(shares.astype(np.float32)).to(rows.device)
    share = share.view(-1, *[1] * (rows.dim() - 1))
    mixed = rows * share + others * (1 - share)
    # Nothing times a value that is missing would be missing too.
    mixed = torch.where(share == 1, rows, torch.where(share == 0, others, mixed))
    if categories:
        mixed[:, categories] = torch.where(share < 0.5, others, rows)[:, categories]
    return mixed


class Boxes(NamedTuple):
    """For each image, a rectangle of pixels: from the first edge to before the second."""

    top: Positions
    bottom: Positions
    left: Positions
    right: Positions

    def shares_outside(self, height: int, width: int) -> Floats:
        """What of an image is not in its box, by area, shape (rows,)."""
        inside = (self.bottom - self.top) * (self.right - self.left)
        return np.asarray(1 - inside / (height * width))


def cut_boxes(positions: Positions, seed: int, alpha: float, height: int, width: int) -> Boxes:
    """The part of each image that another one's takes the place of, arXiv 1905.04899, equation 2.

    λ is drawn from Beta(alpha, alpha), the box has √(1 - λ) of the image's height and width and its
    centre anywhere in the image, and what lies outside the image is cut off, as in the authors'
    code: the share that remains of the row is then more than λ.
    """
    bits = random_bits(seed, positions, 2)
    side = np.sqrt(1 - beta_quantiles(alpha)[choices(bits[:, 0], _QUANTILES)])
    half_height, half_width = ((length * side).astype(np.int64) // 2 for length in (height, width))
    y, x = choices(bits[:, 1], height), lower_choices(bits[:, 1], width)
    return Boxes(
        top=np.maximum(y - half_height, 0),
        bottom=np.minimum(y + half_height, height),
        left=np.maximum(x - half_width, 0),
        right=np.minimum(x + half_width, width),
    )


def cut_and_pasted(images: Tensor, others: Tensor, boxes: Boxes) -> Tensor:
    """Images in whose boxes the pixels of other images are.

    Args:
        images: shape (rows, channels, height, width).
        others: of the same shape.
        boxes: one an image.
    """
    top, bottom, left, right = (torch.from_numpy(edge)[:, None] for edge in boxes)
    y, x = (torch.arange(length) for length in images.shape[2:])
    inside = ((y >= top) & (y < bottom))[:, :, None] & ((x >= left) & (x < right))[:, None, :]
    return torch.where(inside[:, None].to(images.device), others, images)


@lru_cache
def beta_quantiles(alpha: float) -> Floats:
    """Quantiles of Beta(alpha, alpha) at (i + ½) / 1024, ascending, rounded to 2⁻¹⁶.

    The density is summed up to the middle, and the other half is its mirror image. Below alpha = 1
    it is infinite at 0, that of x^alpha is not.
    """
    power = min(alpha, 1.0)
    edges = np.linspace(0, 0.5**power, _STEPS + 1)
    middles = ((edges[1:] + edges[:-1]) / 2) ** (1 / power)
    density = middles ** (alpha - power) * (1 - middles) ** (alpha - 1)
    mass = np.concatenate([[0], np.cumsum(density)])
    wanted = (np.arange(_QUANTILES // 2) + 0.5) / _QUANTILES
    lower = np.interp(wanted, mass / (2 * mass[-1]), edges) ** (1 / power)
    quantiles = np.rint(np.concatenate([lower, 1 - lower[::-1]]) * _DIGITS) / _DIGITS
    quantiles.flags.writeable = False
    return np.asarray(quantiles)
