"""Image columns to arrays: encoded bytes (PNG, JPEG, …), or flat lists of numbers."""

import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.errors import UserError

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode by number of channels."""


def decode_images(column: pa.ChunkedArray, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Decode a column of images.

    Args:
        column: Arrow column of binary values, or of (fixed-size) lists of numbers.
        shape: channels, height, width of every image.

    Returns:
        float32, shape (rows, channels, height, width), in the data's own range (0 to 255 for
        encoded images).

    Raises:
        UserError: a row is null, has another size, or is not an image.
    """
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        rows = [_decode(value, shape, row) for row, value in enumerate(column.to_pylist())]
        return np.stack(rows) if rows else np.zeros((0, *shape), np.float32)
    values = column.combine_chunks()
    size = int(np.prod(shape))
    lengths = np.asarray([0 if value is None else len(value) for value in values])
    if (lengths != size).any():
        row = int(np.argmax(lengths != size))
        raise UserError(
            f"image in row {row}: has {lengths[row]} values, but data.input.size "
            f"{list(shape)} needs {size}"
        )
    flat: npt.NDArray[np.float32] = values.flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float32).reshape(-1, *shape)


def _decode(value: bytes | None, shape: tuple[int, ...], row: int) -> npt.NDArray[np.float32]:
    from PIL import Image

    channels, height, width = shape
    if channels not in MODES:
        raise UserError(
            f"data.input.size: {channels} channels; encoded images have 1 (grey) or 3 (RGB)"
        )
    try:
        with Image.open(io.BytesIO(value or b"")) as image:
            pixels = np.asarray(image.convert(MODES[channels]), dtype=np.float32)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"image in row {row}: cannot be decoded") from error
    if pixels.shape[:2] != (height, width):
        raise UserError(
            f"image in row {row}: is {pixels.shape[0]}x{pixels.shape[1]}, but data.input.size "
            f"says {height}x{width}"
        )
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)
