"""Views of rows that can be made again: what a row looks like is decided by seed and position."""

from collections.abc import Sequence

from torch import Tensor

from components.shared.recipe.augmentation import AugmentationSpec
from components.shared.recipe.inputs import InputSpec
from components.shared.soft_labels import Crop, Views
from components.shared.training.augmentation.bits import Positions, stream
from components.shared.training.augmentation.images import replay_crop, replay_flip, replay_shift
from components.shared.training.augmentation.mixing import (
    Floats,
    cut_and_pasted,
    cut_boxes,
    mixed_up,
    mixup_shares,
)
from components.shared.training.augmentation.values import replay_noise, replay_token_dropout

_FLIP, _CROP, _TOKENS, _MIX = 1, 2, 3, 4


def as_views(
    spec: AugmentationSpec, rows: InputSpec, noise: list[float], seeds: Sequence[int] = ()
) -> Views:
    """What a section of a recipe asks for, for rows that it fits.

    Args:
        spec: the section.
        rows: what a row is.
        noise: standard deviation of the noise of each column; empty where there is none.
        seeds: of the augmented views, where they are stored.
    """
    return Views(
        seeds=list(seeds),
        shift=spec.shift,
        noise=noise,
        flip=spec.flip,
        crop=Crop(**spec.crop.model_dump()) if spec.crop else None,
        token_dropout=spec.token_dropout,
        mixup=spec.mixup,
        cutmix=spec.cutmix,
        categories=_categories(rows) if spec.mixup else [],
    )


def column_noise(scale: float, rows: InputSpec, std: Sequence[float]) -> list[float]:
    """Standard deviation of the noise of each column, in the column's unit; 0 for categories.

    All processes find the same, since the numbers are rounded to fewer digits than two processors
    may differ in.

    Args:
        scale: of the noise, in standard deviations of the column; 0 for none.
        rows: what a row is.
        std: standard deviation of each column.

    Returns:
        One number a column; none where there is no noise, or rows are not those of a table.
    """
    if not scale or rows.kind != "tabular":
        return []
    categories = _categories(rows)
    return [
        0.0 if place in categories else float(f"{scale * spread:.4g}")
        for place, spread in enumerate(std)
    ]


def replay_view(inputs: Tensor, positions: Positions, view: int, views: Views) -> Tensor:
    """One of the stored views of some rows, before any is mixed with another.

    It is the same whatever batch, device or process they are in.

    Args:
        inputs: raw features, shape (rows, \\*input shape).
        positions: number of each row over the whole data set, shape (rows,).
        view: 0 is the plain row.
        views: how views are made.

    Returns:
        The rows as the teacher saw them, of the same shape; ``inputs`` itself for view 0.
    """
    return inputs if view == 0 else view_of(inputs, positions, views.seeds[view - 1], views)


def view_of(inputs: Tensor, positions: Positions, seed: int, views: Views) -> Tensor:
    """The view that a seed gives of some rows, as :func:`replay_view`."""
    if views.crop:
        inputs = replay_crop(inputs, positions, stream(seed, _CROP), views.crop)
    if views.flip:
        inputs = replay_flip(inputs, positions, stream(seed, _FLIP))
    if views.shift:
        inputs = replay_shift(inputs, positions, seed, views.shift)
    if views.noise:
        inputs = replay_noise(inputs, positions, seed, views.noise)
    if views.token_dropout:
        inputs = replay_token_dropout(inputs, positions, stream(seed, _TOKENS), views.token_dropout)
    return inputs


def mixed_view(
    inputs: Tensor,
    positions: Positions,
    others: Tensor,
    positions_of_others: Positions,
    seed: int,
    views: Views,
) -> Tensor:
    """The view that a seed gives of some rows, mixed with that of others; the rows' own positions
    decide how.

    Args:
        inputs: raw features, shape (rows, \\*input shape).
        positions: of the rows, shape (rows,).
        others: what they are mixed with, of the same shape.
        positions_of_others: shape (rows,).
        seed: of the view.
        views: how views are made, with ``mixup`` or ``cutmix``.
    """
    inputs = view_of(inputs, positions, seed, views)
    others = view_of(others, positions_of_others, seed, views)
    if views.mixup:
        shares = own_shares(inputs.shape[1:], positions, seed, views)
        return mixed_up(inputs, others, shares, views.categories)
    boxes = cut_boxes(positions, stream(seed, _MIX), views.cutmix, *inputs.shape[2:])
    return cut_and_pasted(inputs, others, boxes)


def own_shares(shape: Sequence[int], positions: Positions, seed: int, views: Views) -> Floats:
    """What each row has of itself in :func:`mixed_view`, 0 to 1, shape (rows,): λ of the labels.

    Args:
        shape: of a row.
        positions: shape (rows,).
        seed: of the view.
        views: how views are made.
    """
    if views.mixup:
        return mixup_shares(positions, stream(seed, _MIX), views.mixup)
    height, width = shape[1:]
    boxes = cut_boxes(positions, stream(seed, _MIX), views.cutmix, height, width)
    return boxes.shares_outside(height, width)


def _categories(rows: InputSpec) -> list[int]:
    if rows.kind != "tabular":
        return []
    return [place for place, part in enumerate(rows.parts) if part.kind == "categorical"]
