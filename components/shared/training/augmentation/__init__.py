"""Augmentation: views of rows, that can be made again from seed and position of a row, and random
shifts of what a model is trained on."""

from components.shared.training.augmentation.bits import random_bits
from components.shared.training.augmentation.images import random_shift
from components.shared.training.augmentation.partners import partners_in_piece
from components.shared.training.augmentation.showing import seed_of_step, shown
from components.shared.training.augmentation.views import (
    as_views,
    column_noise,
    mixed_view,
    replay_view,
    view_of,
)

__all__ = [
    "as_views",
    "column_noise",
    "mixed_view",
    "partners_in_piece",
    "random_bits",
    "random_shift",
    "replay_view",
    "seed_of_step",
    "shown",
    "view_of",
]
