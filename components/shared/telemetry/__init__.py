"""What a step measures of itself: throughput, memory, gates, verdict.

It is all taken from the events that a step prints. It goes to Prometheus where the environment
names a file or a Pushgateway, and beside an artifact, so that registration can log it to MLflow.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from components.shared.telemetry.measurements import Measurements
from components.shared.telemetry.publishing import Publisher, Warn

THROUGHPUT = "throughput.json"
"""Beside the files of an artifact, and in none of its digests: two runs differ in it."""

_measured: ContextVar[Measurements | None] = ContextVar("measured", default=None)


@contextmanager
def measuring(step: str, warn: Warn) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Measure a step until the block ends; yields what its events are to be given to.

    Args:
        step: its name.
        warn: emits an event; called at most once for each place that metrics cannot be written to.
    """
    measured, publisher = Measurements(), Publisher(step, os.environ, warn)
    lock = threading.RLock()  # the warning is an event as well

    def observe(event: dict[str, Any]) -> None:
        with lock:
            measured.observe(event)
            if event["event"] == "progress":
                publisher.publish(measured)

    token = _measured.set(measured)
    try:
        yield observe
    finally:
        _measured.reset(token)
        if measured.succeeded is None:  # ended from outside, as by SIGTERM
            measured.succeeded = False
        publisher.publish(measured, last=True)


def keep(folder: Path) -> None:
    """Write what the present step measured of its work beside the files of an artifact."""
    from components.shared.files import write_atomically

    measured = _measured.get()
    if measured is not None:
        write_atomically(folder / THROUGHPUT, json.dumps(measured.throughput(), indent=2))


def kept(folder: Path) -> dict[str, float]:
    """What :func:`keep` wrote; empty where nothing was, as in artifacts from elsewhere."""
    path = folder / THROUGHPUT
    if not path.is_file():
        return {}
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found
