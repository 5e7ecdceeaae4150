"""Following a local run: from the output of KFP's runner to events, timings and a log file."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from components.shared.events import parse_event

Listener = Callable[[dict[str, Any]], None]


@dataclass
class StepTiming:
    """Wall time of one step in seconds."""

    startup: float
    """From the end of the step before until the step's libraries are imported."""
    work: float = 0.0


@dataclass
class Follower(io.TextIOBase):
    """A text stream that stands in for standard output while KFP runs a pipeline.

    Every line goes to the log; event lines also go to the listener, and give the timings.
    """

    log: TextIO
    listener: Listener
    timings: dict[str, StepTiming] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    """The last ``error`` event."""
    _partial: str = ""
    _previous_end: float = field(default_factory=time.time)

    def writable(self) -> bool:
        """Writing is all that it can do."""
        return True

    def write(self, text: str) -> int:
        """Take output as it comes; complete lines are handled at once."""
        self.log.write(text)
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            event = parse_event(line)
            if event is not None:
                self._handle(event)
        return len(text)

    def flush(self) -> None:
        """Pass on to the log."""
        self.log.flush()

    def _handle(self, event: dict[str, Any]) -> None:
        step, when = event.get("step", ""), event["time"]
        match event["event"]:
            case "started":
                self.timings[step] = StepTiming(startup=when - self._previous_end)
            case "finished":
                timing = self.timings[step]
                timing.work = when - self._previous_end - timing.startup
                self._previous_end = when
            case "error":
                self.error = event
        self.listener(event)
