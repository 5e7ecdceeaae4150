"""What a sampled row is described by: a few numbers that drift and coverage are judged on."""

from functools import cache

import numpy as np
import numpy.typing as npt

from components.data_validation.features import Features
from components.shared.recipe.inputs import ImageInput, InputSpec, TabularInput, TextInput

Matrix = npt.NDArray[np.float32]

_PLACE = 64
"""Numbers that an image or a text is placed by."""
IMAGE_FIGURES = ["mean", "standard deviation", "smallest value", "largest value"]
TEXT_FIGURES = ["tokens"]


def figures(spec: InputSpec) -> list[str]:
    """Names of the numbers of :func:`describe` that can be understood; the others are a place."""
    if isinstance(spec, TabularInput):
        return spec.names
    names = IMAGE_FIGURES if isinstance(spec, ImageInput) else TEXT_FIGURES
    return [f"{name} of {spec.column!r}" for name in names]


def describe(features: Features, rows: npt.NDArray[np.int64], spec: InputSpec) -> Matrix:
    """The numbers of some rows.

    Args:
        features: has these rows and others.
        rows: which.
        spec: what they are.

    Returns:
        Shape (rows, figures, or figures and place): the values of a table's columns; mean,
        deviation and extremes of an image, and its place by a random projection, which keeps
        distances; the length of a text, and its place by how often tokens of 64 groups occur.
    """
    values = features.values[rows]
    match spec:
        case TabularInput():
            return values
        case ImageInput():
            known = np.stack(
                [values.mean(axis=1), values.std(axis=1), values.min(axis=1), values.max(axis=1)],
                axis=1,
            )
            return np.concatenate([known, values @ _projection(values.shape[1])], axis=1)
        case TextInput():
            ids = values.astype(np.int64)
            length = (ids != 0).sum(axis=1, keepdims=True)
            groups = np.stack(
                [((ids % _PLACE == g) & (ids != 0)).sum(axis=1) for g in range(_PLACE)], axis=1
            )
            shares = groups / np.maximum(length, 1)
            return np.concatenate([length, shares], axis=1).astype(np.float32)


@cache
def _projection(width: int) -> Matrix:
    if width <= _PLACE:
        return np.eye(width, dtype=np.float32)
    generator = np.random.default_rng(width)
    return generator.normal(size=(width, _PLACE)).astype(np.float32) / np.float32(np.sqrt(_PLACE))
