"""Where an image's pixels are seen: shifts, flips, and crops that are enlarged to the image's size.

What seed and position of a row decide is computed by whole numbers, and by sums, products and
square roots of floats, one operation at a time: so it is the same to the last bit everywhere.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from components.shared.soft_labels import Crop
from components.shared.training.augmentation.bits import (
    Positions,
    choices,
    lower_choices,
    random_bits,
    units,
)

Floats = npt.NDArray[np.float64]


def random_shift(
    images: Tensor,
    pixels: int,
    generator: torch.Generator,
    rows: int | None = None,
    share: slice = slice(None),
) -> Tensor:
    """Shift every image by up to ``pixels`` in both directions, independently; zeros move in.

    Args:
        images: shape (rows, channels, height, width).
        pixels: largest shift.
        generator: source of the shifts.
        rows: of the batch that the images are of, for all of which shifts are drawn; by default the
            images are all of it.
        share: which rows of the batch the images are.

    Returns:
        A new tensor of the same shape.
    """
    if rows is None:
        rows = len(images)
    top = torch.randint(0, 2 * pixels + 1, (rows, 1), generator=generator)[share]
    left = torch.randint(0, 2 * pixels + 1, (rows, 1), generator=generator)[share]
    return _shift(images, pixels, top, left)


def replay_shift(images: Tensor, positions: Positions, seed: int, pixels: int) -> Tensor:
    """As :func:`random_shift`, with shifts that seed and position of a row decide."""
    bits = random_bits(seed, positions)
    top, left = (draw(bits, 2 * pixels + 1) for draw in (choices, lower_choices))
    return _shift(images, pixels, torch.from_numpy(top)[:, None], torch.from_numpy(left)[:, None])


def replay_flip(images: Tensor, positions: Positions, seed: int) -> Tensor:
    """Mirror half of the images, left to right.

    Args:
        images: shape (rows, channels, height, width).
        positions: shape (rows,).
        seed: with the position decides which.
    """
    mirrored = torch.from_numpy(choices(random_bits(seed, positions), 2) == 1)
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def replay_crop(images: Tensor, positions: Positions, seed: int, crop: Crop) -> Tensor:
    """A part of each image, anywhere in it, enlarged to the image's size.

    The part has the image's proportions, and a share of its area that is evenly distributed
    between ``crop.least`` and ``crop.most`` (Szegedy et al., arXiv 1409.4842, section 6, without
    the change of proportions). Its edges may lie between pixels. A value is that of the nearest
    pixel, or is interpolated between the four around it.

    Args:
        images: shape (rows, channels, height, width).
        positions: shape (rows,).
        seed: with the position decides where the part is.
        crop: sizes of the part, and how it is enlarged.

    Returns:
        A new tensor of the same shape.
    """
    bits = random_bits(seed, positions, 3)
    side = np.sqrt(crop.least + (crop.most - crop.least) * units(bits[:, 0]))
    down = _sampled(images.shape[2], side, units(bits[:, 1]))
    across = _sampled(images.shape[3], side, units(bits[:, 2]))
    if crop.interpolation == "nearest":
        return _picked(images, np.rint(down), np.rint(across))
    top, left = np.floor(down), np.floor(across)
    bottom = np.minimum(top + 1, images.shape[2] - 1)
    right = np.minimum(left + 1, images.shape[3] - 1)
    down_share = _weights(down - top, images)[:, None, :, None]
    right_share = _weights(across - left, images)[:, None, None, :]
    rows = [
        _picked(images, edge, left) * (1 - right_share) + _picked(images, edge, right) * right_share
        for edge in (top, bottom)
    ]
    return rows[0] * (1 - down_share) + rows[1] * down_share


def _sampled(length: int, side: Floats, start: Floats) -> Floats:
    """Where along one side of an image the pixels of a crop are, counted in pixels.

    Args:
        length: pixels of the image's side.
        side: of the crop, as a share of the image's, shape (rows,).
        start: of the crop, from 0 (at the beginning) to 1 (as late as it fits), shape (rows,).

    Returns:
        Shape (rows, length), from 0 to ``length - 1``.
    """
    first = start * (length - side * length)
    places = first[:, None] + (np.arange(length) + 0.5) * side[:, None] - 0.5
    return np.clip(places, 0, length - 1)


def _picked(images: Tensor, rows: Floats, columns: Floats) -> Tensor:
    """Pixels of each image, at whole-numbered places of shape (images, height), (images, width)."""
    count, channels = images.shape[:2]
    image = torch.arange(count)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    y, x = (torch.from_numpy(places.astype(np.int64)) for places in (rows, columns))
    return images[image, channel, y[:, None, :, None], x[:, None, None, :]]


def _weights(shares: Floats, images: Tensor) -> Tensor:
    """Shares from 0 to 1 on the images' device; rounded to 2⁻¹⁶, so that 1 less one is exact."""
    rounded = np.rint(shares * 2**16) * 2.0**-16
    return torch.from_numpy(rounded.astype(np.float32)).to(images.device)


def _shift(images: Tensor, pixels: int, top: Tensor, left: Tensor) -> Tensor:
    rows, channels, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4)
    row = torch.arange(rows)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    y = (top + torch.arange(height))[:, None, :, None]
    x = (left + torch.arange(width))[:, None, None, :]
    return padded[row, channel, y, x]
