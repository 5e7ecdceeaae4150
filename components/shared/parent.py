"""Ending with the process that started this one, whatever that died of."""

import ctypes
import os
import signal
import sys
import threading
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_GONE = signal.SIGUSR1


def signal_at_its_end(parent: int, number: int) -> bool:
    """Have a signal sent to this process when its parent is gone, even where that was killed; no
    more than Linux can do, which sends it again for every thread that the parent had.

    Args:
        parent: process id of the parent, as it knew it itself.
        number: the signal.

    Returns:
        Whether the parent is still there: it may have gone before this was called.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def terminate_at_its_end(parent: int) -> bool:
    """The same with one SIGTERM, for who takes a second one as an order to end at once. One that
    the parent itself had sent before does not count."""
    first = threading.Lock()  # taken by the first signal, also where another interrupts its handler

    def on_gone(_number: int, _frame: FrameType | None) -> None:
        if os.getppid() != parent and first.acquire(blocking=False):
            signal.raise_signal(signal.SIGTERM)

    signal.signal(_GONE, on_gone)
    return signal_at_its_end(parent, _GONE)
