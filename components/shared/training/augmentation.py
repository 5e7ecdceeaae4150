"""Augmentation of image batches."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor


def random_shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift every image by up to ``pixels`` in both directions, independently; zeros move in.

    Args:
        images: shape (rows, channels, height, width).
        pixels: largest shift.
        generator: source of the shifts.

    Returns:
        A new tensor of the same shape.
    """
    rows, channels, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4)
    top = torch.randint(0, 2 * pixels + 1, (rows, 1), generator=generator)
    left = torch.randint(0, 2 * pixels + 1, (rows, 1), generator=generator)
    row = torch.arange(rows)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    y = (top + torch.arange(height))[:, None, :, None]
    x = (left + torch.arange(width))[:, None, None, :]
    return padded[row, channel, y, x]
