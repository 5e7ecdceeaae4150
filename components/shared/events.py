"""One-line structured events on standard output: the log of a step, and how a caller follows it.

Each line is a JSON object with ``event``, ``step`` and ``time`` (seconds since the epoch).
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from components.shared.errors import UserError

USER_ERROR_STATUS = 2


_current_step: ContextVar[str] = ContextVar("current_step", default="")


def emit(event: str, **fields: Any) -> None:
    """Print one event line of the current step and flush it, so that a follower sees it at once."""
    line = {"event": event, "time": time.time(), "step": _current_step.get(), **fields}
    print(json.dumps(line), flush=True)


def parse_event(line: str) -> dict[str, Any] | None:
    """The event on a line of a step's output, or ``None`` for any other line."""
    text = line.strip()
    if not text.startswith('{"event": '):
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def step(name: str) -> Iterator[None]:
    """Bracket a step's work with ``started`` and ``finished`` events.

    Enter it after the step's libraries are imported: what comes before ``started`` is start-up.
    A :class:`UserError` inside becomes an ``error`` event and exit status 2, without a traceback.
    """
    token = _current_step.set(name)
    try:
        emit("started")
        yield
        emit("finished")
    except UserError as error:
        emit("error", kind="user", message=str(error))
        sys.exit(USER_ERROR_STATUS)
    except Exception as error:
        emit("error", kind="system", message=f"{type(error).__name__}: {error}")
        raise
    finally:
        _current_step.reset(token)


class Progress:
    """Reports how far a step is, how fast, and how long it will still take."""

    def __init__(self, activity: str, total: int, unit: str, interval: float = 0.5) -> None:
        """Start counting.

        Args:
            activity: what the step is busy with.
            total: amount of work in ``unit``.
            unit: ``steps``, ``rows``, …
            interval: least seconds between two events.
        """
        self._activity, self._total, self._unit, self._interval = activity, total, unit, interval
        self._started = self._reported = time.monotonic()

    def update(self, done: int, **fields: Any) -> None:
        """Say that ``done`` units are done; an event is sent when one is due."""
        now = time.monotonic()
        if now - self._reported < self._interval and done < self._total:
            return
        self._reported = now
        rate = done / max(now - self._started, 1e-9)
        emit(
            "progress",
            activity=self._activity,
            done=done,
            total=self._total,
            unit=self._unit,
            rate=round(rate, 1),
            seconds_left=round((self._total - done) / max(rate, 1e-9), 1),
            **fields,
        )
