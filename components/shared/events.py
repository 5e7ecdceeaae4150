"""One-line structured events on standard output: the log of a step, and how a caller follows it.

Each line is a JSON object with ``event``, ``step`` and ``time`` (seconds since the epoch), and,
where the environment tells them, with ``run_id`` and ``recipe``, by which the logs of two steps can
be joined.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any

from components.shared.errors import UserError

USER_ERROR_STATUS = 2
RUN_ID = "KUBEDISTILL_RUN_ID"
RECIPE = "KUBEDISTILL_RECIPE"

Observer = Callable[[dict[str, Any]], None]

_current_step: ContextVar[str] = ContextVar("current_step", default="")
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


def emit(event: str, **fields: Any) -> None:
    """Print one event line of the current step and flush it, so that a follower sees it at once."""
    line = {"event": event, "time": time.time(), "step": _current_step.get(), **_origin(), **fields}
    print(json.dumps(line), flush=True)
    _observe(line)


def relay(line: str) -> None:
    """Print a line of another process that works for this step; its events count as the step's."""
    print(line.rstrip("\n"), flush=True)
    event = parse_event(line)
    if event is not None:
        _observe(event)


def parse_event(line: str) -> dict[str, Any] | None:
    """The event on a line of a step's output, or ``None`` for any other line.

    Others call the message of what they log ``event``, too, as structlog does: no events of ours.
    """
    text = line.strip()
    if not text.startswith('{"event": '):
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if _is_event(value) else None


@contextmanager
def step(name: str) -> Iterator[None]:
    """Bracket a step's work with ``started`` and ``finished`` events, and measure it by its events.

    Enter it after the step's libraries are imported: what comes before ``started`` is start-up.
    A :class:`UserError` inside becomes an ``error`` event and exit status 2, without a traceback.
    In a pipeline's pod, what libraries log inside are events as well.
    """
    from components.shared.library_logs import logged_as_events
    from components.shared.telemetry import measuring

    # Threads of libraries do not know of the current step.
    logs = logged_as_events(partial(emit, step=name)) if RUN_ID in os.environ else nullcontext()
    token = _current_step.set(name)
    try:
        with measuring(name, emit) as observer, _observed_by(observer), logs:
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


@contextmanager
def within(name: str) -> Iterator[None]:
    """Events of the block are those of a step that another process brackets and measures."""
    token = _current_step.set(name)
    try:
        yield
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
        self._created = self._started = self._reported = time.monotonic()
        self._found = 0

    def found(self, done: int) -> None:
        """Say that ``done`` units were found done: they are no work of this process, nor its rate.

        To be called before the first :meth:`update`.
        """
        self._found, self._started = done, time.monotonic()
        self._report(done, 0, done / max(self._started - self._created, 1e-9), {})

    def update(self, done: int, **fields: Any) -> None:
        """Say that ``done`` units are done; an event is sent when one is due."""
        processed = done - self._found
        rate = processed / max(time.monotonic() - self._started, 1e-9)
        self._report(done, processed, rate, fields)

    def _report(self, done: int, processed: int, rate: float, fields: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._reported < self._interval and done < self._total:
            return
        self._reported = now
        memory = gpu_memory_peak()
        emit(
            "progress",
            activity=self._activity,
            done=done,
            total=self._total,
            unit=self._unit,
            processed=processed,
            rate=round(rate, 1),
            seconds_left=round((self._total - done) / max(rate, 1e-9), 1),
            **({} if memory is None else {"gpu_memory_peak_bytes": memory}),
            **fields,
        )


def gpu_memory_peak() -> int | None:
    """Most bytes that tensors took on this process's GPU so far; null where it uses none.

    Torch is asked only where it is at work already. What ONNX Runtime takes is not in it.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


def _origin() -> dict[str, str]:
    """The ids of the pipeline run and the recipe, as far as the environment has them."""
    found = {"run_id": os.environ.get(RUN_ID), "recipe": os.environ.get(RECIPE)}
    return {name: value for name, value in found.items() if value}


def _is_event(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("event"), str)
        and isinstance(value.get("step"), str)
        and isinstance(value.get("time"), int | float)
    )


@contextmanager
def _observed_by(observer: Observer) -> Iterator[None]:
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def _observe(event: dict[str, Any]) -> None:
    observer = _observer.get()
    if observer is not None:
        observer(event)
