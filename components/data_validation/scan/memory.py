"""Giving memory back before Great Expectations is loaded, which needs a few hundred MB itself."""

import ctypes
import sys

import pyarrow as pa


def give_back() -> None:
    """Return what Arrow and the C library keep for later to the system."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc has it, musl has not
            libc.malloc_trim(0)
