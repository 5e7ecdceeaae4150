"""The order in which rows of a file are read: chunks in a seeded order, rows mixed in windows.

A window is some chunks that are in memory together; its rows are shuffled. All is a function of
seed and epoch alone, so that reading can start anywhere.
"""

import hashlib

import torch
from torch import Tensor


def chunk_order(chunks: int, seed: int, epoch: int) -> Tensor:
    """The order in which the chunks are read in an epoch, counted from 0."""
    return torch.randperm(chunks, generator=_generator("chunks", seed, epoch))


def row_order(rows: int, seed: int, epoch: int, window: int) -> Tensor:
    """The order of the rows within one window."""
    # The last number keeps the order, and so the weights, of records that were read before.
    return torch.randperm(rows, generator=_generator("rows", seed, epoch, window, 0))


def _generator(purpose: str, *numbers: int) -> torch.Generator:
    digest = hashlib.sha256(repr((purpose, *numbers)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
