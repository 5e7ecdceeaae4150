"""SIGTERM: a node goes away, and the training on it ends at a step, with a checkpoint.

Processes that train together end at the same step, so that none waits for one that is gone.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from components.shared.training.distributed import ranks

STATUS = 128 + signal.SIGTERM
"""Exit status, which makes KFP and Argo try the step again."""


class Terminated(SystemExit):
    """The process was asked to end."""

    def __init__(self) -> None:
        super().__init__(STATUS)


class Termination:
    """Whether the process was asked to end.

    The first SIGTERM raises :class:`Terminated`, or waits where it is deferred; a second one ends
    the process at once.
    """

    def __init__(self) -> None:
        self._requested = self._deferred = False
        self.together = False
        """Whether the processes that train together know of each other that they end."""
        self._ranks = ranks()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Handle SIGTERM within the block; nothing is done outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block SIGTERM only sets :attr:`requested`, which the block has to look at.

        Processes that train together may only end together, and so none does between two of their
        trainings either: what was asked for meanwhile is done when the next one begins.
        """
        self._deferred = True
        if self.agreed():
            raise Terminated
        try:
            yield
        finally:
            self._deferred = not self._ranks.alone
        if self._requested and self._ranks.alone:
            raise Terminated

    @property
    def requested(self) -> bool:
        """Whether this process was asked to end."""
        return self._requested

    def agreed(self) -> bool:
        """Whether any process of those that train together was asked to end; all have to ask."""
        self.together = self._ranks.any(self._requested)
        return self.together

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._requested:
            os._exit(STATUS)
        self._requested = True
        if not self._deferred:
            raise Terminated
