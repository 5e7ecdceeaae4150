"""The raw inputs of a model, whatever their kind."""

from typing import assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.encoding.lists import read_lists
from components.shared.encoding.tabular import read_columns
from components.shared.images_codec import decode_images
from components.shared.recipe.inputs import ImageInput, InputSpec, TabularInput, TextInput

Inputs = npt.NDArray[np.float32]


def encode(table: pa.Table, spec: InputSpec) -> Inputs:
    """Raw inputs of all rows.

    Args:
        table: has the columns that ``spec`` names; categories are known, texts are token ids.
        spec: what they mean.

    Returns:
        Shape (rows, \\*input shape): numbers, with NaN where one is missing; codes of categories
        (see :func:`category_codes`); values of images; ids of tokens.

    Raises:
        BadValue: an image cannot be decoded, a list has another length than it should, or a
            category is unknown where that is an error.
    """
    match spec:
        case TabularInput():
            return read_columns(table, spec)
        case ImageInput():
            return decode_images(table.column(spec.column), spec.shape)
        case TextInput():
            ids = read_lists(table.column(spec.column), spec.length, "text", "tokens")
            return ids.astype(np.float32)
        case _:
            assert_never(spec)
