"""Noise on the columns of a table, and tokens of a text that are left out."""

import math

import numpy as np
import torch
from torch import Tensor

from components.shared.training.augmentation.bits import Positions, choices, random_bits

_TOKEN_SHARES = 2**24
PADDING = 0
"""The id that stands for no token."""


def replay_noise(rows: Tensor, positions: Positions, seed: int, scale: list[float]) -> Tensor:
    """Add noise that seed and position of a row decide.

    It is nearly normal: the sum of four uniform numbers, never more than 3.5 standard deviations.
    Unlike logarithms and cosines, that is the same to the last bit on every machine.

    Args:
        rows: shape (rows, columns).
        positions: shape (rows,).
        seed: of the view.
        scale: standard deviation of the noise of each column.
    """
    bits = random_bits(seed, positions, len(scale))
    parts = [(bits >> np.uint64(16 * part)) & np.uint64(0xFFFF) for part in range(4)]
    total = (parts[0] + parts[1] + parts[2] + parts[3]).astype(np.float32)
    unit = (total - np.float32(2 * 0xFFFF)) * np.float32(math.sqrt(3) / 2**16)
    noise = unit * np.asarray(scale, np.float32)
    return rows + torch.from_numpy(noise).to(rows.device)


def replay_token_dropout(ids: Tensor, positions: Positions, seed: int, share: float) -> Tensor:
    """Put padding in the place of tokens, each with the same probability.

    Models skip padding wherever it is, so that a token that is dropped is as if it were not there.

    Args:
        ids: token ids, shape (rows, length).
        positions: shape (rows,).
        seed: with the position of a row decides which of its tokens go.
        share: probability that one goes, 0 to 1.
    """
    bits = random_bits(seed, positions, ids.shape[1])
    dropped = choices(bits, _TOKEN_SHARES) < round(share * _TOKEN_SHARES)
    return ids.masked_fill(torch.from_numpy(dropped).to(ids.device), PADDING)
