"""From a row as the data have it to a row as a model wants it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.teacher import Standardisation

Array = npt.NDArray[np.float32]


class Layout(NamedTuple):
    """What a model wants of a row, without the axis of the rows."""

    channels_last: bool
    """Whether the axes of an image are height, width, channels."""
    shape: tuple[int, ...]

    def arrange(self, rows: Array) -> Array:
        """Rows as the data have them, shape (rows, \\*input shape), in this layout."""
        turned = rows.transpose(0, 2, 3, 1) if self.channels_last else rows
        return np.ascontiguousarray(turned.reshape(len(rows), *self.shape))


def layout_for(wanted: Sequence[int] | None, shape: tuple[int, ...], what: str) -> Layout:
    """The layout of rows that a model wants.

    Args:
        wanted: lengths of a row's axes as the model names them, -1 where any will do; null where
            it names none.
        shape: of a row in the data.
        what: what errors call the model.

    Raises:
        UserError: none of the layouts that a row can be brought into is of that shape.
    """
    layouts = [Layout(False, shape)]
    if len(shape) == 3:
        channels, height, width = shape
        layouts.append(Layout(True, (height, width, channels)))
        if channels == 1:
            layouts.append(Layout(False, (height, width)))
        layouts.append(Layout(False, (channels * height * width,)))
    for layout in layouts:
        if wanted is None or _fits(wanted, layout.shape):
            return layout
    free = ", ".join("any" if length < 0 else str(length) for length in wanted or ())
    raise UserError(
        f"{what} does not fit the data set: it takes rows of shape [{free}], the data set has "
        f"{list(shape)}"
    )


def _fits(wanted: Sequence[int], shape: tuple[int, ...]) -> bool:
    return len(wanted) == len(shape) and all(
        length in (-1, found) for length, found in zip(wanted, shape, strict=True)
    )


def standardisation(spec: Standardisation | None, taken: InputSpec) -> Preprocessing | None:
    """The recipe's standardisation, found to have a number for each channel or column.

    Raises:
        UserError: it has not.
    """
    if spec is None:
        return None
    if len(spec.mean) != taken.shape[0]:
        parts = "channels" if taken.kind == "image" else "columns"
        raise UserError(
            f"teacher.standardise: has {len(spec.mean)} means, but the data set has "
            f"{taken.shape[0]} {parts}"
        )
    return Preprocessing(mean=spec.mean, std=spec.std)


def standardised(rows: Array, preprocessing: Preprocessing | None) -> Array:
    """(rows - mean) / std, along the axis after that of the rows."""
    if preprocessing is None:
        return rows
    lengths = (-1, *(1 for _ in rows.shape[2:]))
    mean = np.asarray(preprocessing.mean, np.float32).reshape(lengths)
    return (rows - mean) / np.asarray(preprocessing.std, np.float32).reshape(lengths)
