"""Image columns to arrays: encoded bytes (PNG, JPEG, …), or flat lists of numbers."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.encoding.faults import BadValue
from components.shared.encoding.lists import read_lists
from components.shared.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode by number of channels."""
_THREADS = 8
_ROWS_OF_A_TASK = 32
"""What a thread takes at once: handing over one small image costs as much as to decode it."""

Pixels = npt.NDArray[np.uint8]


def decode_images(column: pa.ChunkedArray, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Decode a column of images, by several threads where they are encoded.

    Args:
        column: Arrow column of binary values, or of (fixed-size) lists of numbers.
        shape: channels, height, width of every image.

    Returns:
        float32, shape (rows, channels, height, width), in the data's own range (0 to 255 for
        encoded images).

    Raises:
        BadValue: a row is null, has another size or more than 8 bits a channel, or is not an image.
        UserError: encoded images have neither one nor three channels.
    """
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _decode_all(column, shape)
    values = read_lists(column, int(np.prod(shape)), "image", f"data.input.size {list(shape)}")
    return values.astype(np.float32, copy=False).reshape(-1, *shape)


def _decode_all(column: pa.ChunkedArray, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if shape[0] not in MODES:
        raise UserError(
            f"data.input.size: {shape[0]} channels; encoded images have 1 (grey) or 3 (RGB)"
        )
    images = np.empty((len(column), *shape), np.float32)
    starts = range(0, len(column), _ROWS_OF_A_TASK)
    decode = partial(_decode_some, column, images)
    threads = min(len(os.sched_getaffinity(0)), _THREADS, len(starts))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            _finish(pool.map(decode, starts))
    else:
        _finish(map(decode, starts))
    return images


def _finish(tasks: Iterable[None]) -> None:
    """Raise what the first of them raises, in the order of the rows."""
    for _ in tasks:
        pass


def _decode_some(column: pa.ChunkedArray, images: npt.NDArray[np.float32], start: int) -> None:
    """Decode the images of one task into their places."""
    for row, value in enumerate(column.slice(start, _ROWS_OF_A_TASK).to_pylist(), start):
        images[row] = _decode(value, images.shape[1:], row)


def is_deep(image: "Image.Image") -> bool:
    """Whether it has more than 8 bits a channel, of which Pillow would cut off the upper values."""
    return image.mode.startswith(("I", "F"))


def _decode(value: bytes | None, shape: tuple[int, ...], row: int) -> Pixels:
    """One image, shape (channels, height, width)."""
    from PIL import Image

    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(value or b"")) as image:
            if is_deep(image):
                raise BadValue(
                    "image",
                    row,
                    "has more than 8 bits a channel; convert it, or store the values as lists of "
                    "numbers",
                )
            pixels = np.asarray(image.convert(MODES[channels]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadValue("image", row, "cannot be decoded") from error
    if pixels.shape[:2] != (height, width):
        raise BadValue(
            "image",
            row,
            f"is {pixels.shape[0]}x{pixels.shape[1]}, but data.input.size says {height}x{width}",
        )
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)
