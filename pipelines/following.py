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
    """Wall time of one step in seconds; of all of one name together, where there are several."""

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
    finished: int = 0
    """How many steps said that they had finished."""
    _begun: dict[str, float] = field(default_factory=dict)
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
                self._begun[step] = when
                timing = self.timings.setdefault(step, StepTiming(startup=0.0))
                timing.startup += when - self._previous_end
            case "finished":
                self.finished += 1
                self.timings[step].work += when - self._begun[step]
                self._previous_end = when
            case "error":
                self.error = event
        self.listener(event)
