"""Riding out an API that does not answer: a server that is upgraded, a network that is cut."""

import time
from collections.abc import Callable
from typing import TypeVar

from components.shared import events
from components.training.trainjob.api import OutOfReach, Refused

T = TypeVar("T")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_REFUSALS_S = 30.0
"""How long refusals count as those of a server that has just started."""


class Patience:
    """Asks again, with growing pauses, until an outage has lasted too long."""

    def __init__(self, limit_s: float, *, silent: bool = False) -> None:
        """Nothing is out yet.

        Args:
            limit_s: seconds that one outage may last.
            silent: say nothing of it.
        """
        self._limit_s, self._silent = limit_s, silent
        self._out_since: float | None = None
        self._refused_since: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def ask(self, request: Callable[[], T], *, let_in: bool = False) -> T:
        """The request's answer.

        Args:
            request: is made until it is answered.
            let_in: whether the same was allowed before, so that a refusal may pass.

        Raises:
            OutOfReach: for as long as the limit; with the last error.
            Refused: at once, or for a while where it was let in before.
        """
        while True:
            try:
                answer = request()
            except OutOfReach as error:
                self.lose(error)
            except Refused as error:
                if not let_in:
                    raise
                self.lose(error)
            else:
                self.answered()
                return answer

    def lose(self, error: OutOfReach | Refused) -> None:
        """Wait a little after an error.

        Raises:
            OutOfReach: it has been long enough.
            Refused: it was that, and nothing else, for a while.
        """
        now = time.monotonic()
        if self._out_since is None:
            self._out_since = now
            self._tell("cluster_out_of_reach", reason=str(error), patience_s=self._limit_s)
        if isinstance(error, OutOfReach):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= _REFUSALS_S:
            raise error
        out_s = now - self._out_since
        if out_s >= self._limit_s:
            raise OutOfReach(f"out of reach for {out_s:.0f} s; {error}") from error
        time.sleep(min(self._pause_s, self._limit_s - out_s))
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def answered(self) -> None:
        """The API is there."""
        if self._out_since is not None:
            self._tell("cluster_back", after_s=round(time.monotonic() - self._out_since, 1))
        self._out_since = self._refused_since = None
        self._pause_s = _FIRST_PAUSE_S

    def _tell(self, event: str, **fields: object) -> None:
        if not self._silent:
            events.emit(event, **fields)
