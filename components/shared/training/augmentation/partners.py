"""Which row another one is mixed with, where views are stored."""

import numpy as np

from components.shared.dataset import SPLITS
from components.shared.manifest import SplitNumbers
from components.shared.training.augmentation.bits import Positions, choices, random_bits, stream

_PARTNER = 7


def partners_in_piece(positions: Positions, splits: SplitNumbers, seed: int) -> Positions:
    """For each row of a piece of the store the one that it is mixed with, by its place in it.

    It is any row of the same split, possibly the row itself. So rows to learn from are never mixed
    with test rows, labelled ones have two labels, and whoever reads a piece of some splits finds
    the partners that the labelling found.

    Args:
        positions: number of each row over the whole data set, ascending, shape (rows,).
        splits: number of each row's split, shape (rows,).
        seed: of the view.
    """
    found = np.empty(len(positions), np.int64)
    bits = random_bits(stream(seed, _PARTNER), positions)
    for split in range(len(SPLITS)):
        members = np.flatnonzero(splits == split)
        found[members] = members[choices(bits[members], len(members))]
    return found
