"""Where tensors are computed."""

import os

import torch


def compute_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_repeatable(threads: int) -> None:
    """Make training give the same weights, bit for bit, at each repetition on the same hardware.

    Args:
        threads: CPU threads; another number adds up in another order.
    """
    # Without it, cuBLAS has no deterministic matrix product; read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
