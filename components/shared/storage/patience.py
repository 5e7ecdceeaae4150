"""Outages of a server, ridden out: a call is repeated, with growing pauses, for about a minute."""

import os
import random
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from components.shared.errors import StorageFailed, UserError
from components.shared.events import emit

PATIENCE_VARIABLE = "KUBEDISTILL_STORAGE_PATIENCE_S"
"""Environment variable: how many seconds an outage may last."""
PATIENCE_S = 60.0
FIRST_CALL_PATIENCE_S = 10.0
"""For a server that has never answered this process: its address may well be wrong."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_NOTICE_S = 1.0
"""A call that succeeds sooner than this was not worth an event."""

T = TypeVar("T")


class Trouble(Enum):
    """Why a call should be repeated."""

    UNREACHABLE = "unreachable"
    """There was no answer."""
    BROKEN = "broken"
    """The server answered that it cannot, or the answer was cut short or damaged."""


def patience_s() -> float:
    """How long an outage may last, in seconds.

    Raises:
        UserError: the environment variable is not a number of seconds.
    """
    told = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(told or PATIENCE_S)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{PATIENCE_VARIABLE}={told}: write a number of seconds")
    return seconds


class Server:
    """A server, of which it is known whether it has ever answered and whether it is out of order.

    One object is shared by all calls and threads of a process, so that an outage is reported once.
    """

    def __init__(self, name: str, classify: Callable[[Exception], Trouble | None]) -> None:
        """Nothing is known yet.

        Args:
            name: how messages and events call it.
            classify: why a call that raised this should be repeated, or ``None`` where it should
                not.
        """
        self.name = name
        self._classify = classify
        self._lock = threading.Lock()
        self._has_answered = False
        self._out_of_order_since: float | None = None

    def ride_out(self, operation: str, uri: str, attempt: Callable[[], T]) -> T:
        """Call until it succeeds.

        Args:
            operation: what is done, as in ``reading``.
            uri: to what.
            attempt: the call; it may be made many times.

        Raises:
            StorageFailed: it has not succeeded for as long as an outage may last.
            Exception: what ``attempt`` raised, where repeating it would not help.
        """
        patience = patience_s()
        started = time.monotonic()
        attempts = 0
        while True:
            attempts += 1
            try:
                result = attempt()
            except Exception as error:
                trouble = self._classify(error)
                if trouble is None:
                    self._succeeded()
                    raise
                waited = time.monotonic() - started
                self._failed(trouble, waited, operation, uri, error)
                allowed = patience if self._has_answered else min(patience, FIRST_CALL_PATIENCE_S)
                if waited >= allowed:
                    raise StorageFailed(
                        f"{uri}: {operation} failed {attempts} times in {waited:.0f} s at "
                        f"{self.name}; the last error: {_in_words(error)} "
                        f"({self._advice()})"
                    ) from error
                time.sleep(min(_pause_s(attempts), allowed - waited))
            else:
                self._succeeded()
                return result

    def _advice(self) -> str:
        if self._has_answered:
            return f"{PATIENCE_VARIABLE} sets how many seconds an outage may last"
        return (
            "it never answered: check the endpoint (AWS_ENDPOINT_URL_S3), the region, the "
            "addressing style and the network"
        )

    def _failed(
        self, trouble: Trouble, waited_s: float, operation: str, uri: str, error: Exception
    ) -> None:
        with self._lock:
            self._has_answered |= trouble is Trouble.BROKEN
            if waited_s < _NOTICE_S or self._out_of_order_since is not None:
                return
            self._out_of_order_since = time.monotonic() - waited_s
        emit(
            "storage_outage",
            server=self.name,
            operation=operation,
            uri=uri,
            error=_in_words(error),
        )

    def _succeeded(self) -> None:
        with self._lock:
            self._has_answered = True
            since, self._out_of_order_since = self._out_of_order_since, None
        if since is not None:
            emit("storage_back", server=self.name, seconds=round(time.monotonic() - since, 1))


def _pause_s(attempts: int) -> float:
    """Twice as long each time, and half of it by chance, so that a fleet does not knock at once."""
    longest = min(_FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10), _LONGEST_PAUSE_S)
    return longest * (0.5 + 0.5 * random.random())  # noqa: S311 - nothing secret


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
