"""Trainings that are timed: on one thread, repeatable, and without their events."""

import contextlib
import io
from collections.abc import Iterator

import torch

from components.shared.device import make_repeatable


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Within the block; torch is as before afterwards."""
    threads = torch.get_num_threads()
    make_repeatable(threads=1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
