"""What the events of a step say about its work, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LABELLING = "labelling"
"""The activity of a teacher that labels."""


@dataclass
class Work:
    """One activity: how much of it this process did, and how fast."""

    unit: str
    earlier: int = 0
    """Units of trainings and passes of the same name that have ended."""
    current: int = 0
    per_second: float = 0.0
    """Mean rate of the one that runs, or that ran last."""

    @property
    def units(self) -> int:
        """All that was done."""
        return self.earlier + self.current


@dataclass
class Measurements:
    """The state of one step, kept up to date by its events."""

    started: float | None = None
    """Seconds since the epoch, like all times here."""
    latest: float = 0.0
    """Time of the last event."""
    succeeded: bool | None = None
    """Null as long as the step runs."""
    work: dict[str, Work] = field(default_factory=dict)
    """By activity."""
    gates: dict[str, bool] = field(default_factory=dict)
    """Whether the student passed each."""
    verdict: str | None = None
    outcome: str | None = None
    """What the registration came to."""
    gpu_memory_peak_bytes: int | None = None

    def observe(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the step."""
        self.latest = max(self.latest, event["time"])
        match event["event"]:
            case "started":
                self.started = event["time"]
            case "finished":
                self.succeeded = True
            case "error":
                self.succeeded = False
            case "progress":
                self._progress(event)
            case "decided":
                self.verdict, self.gates = event["verdict"], dict(event["gates"])
            case "registered":
                self.outcome = event["outcome"]

    @property
    def seconds(self) -> float:
        """From the start to the last event."""
        return 0.0 if self.started is None else self.latest - self.started

    def throughput(self) -> dict[str, float]:
        """Figures of the work, as an MLflow run shows them: ``student.steps_per_second`` and such.

        Those of activities that did nothing here, since it was all done before, are left out.
        """
        found: dict[str, float] = {}
        for activity, work in self.work.items():
            if work.units:
                found[f"{activity}.{work.unit}"] = work.units
                found[f"{activity}.{work.unit}_per_second"] = work.per_second
        if self.gpu_memory_peak_bytes is not None:
            found["gpu_memory_peak_bytes"] = self.gpu_memory_peak_bytes
        return found

    def _progress(self, event: Mapping[str, Any]) -> None:
        work = self.work.setdefault(event["activity"], Work(event["unit"]))
        work.current = event["processed"]
        if work.current:
            work.per_second = event["rate"]
        if event["done"] >= event["total"]:
            work.earlier, work.current = work.units, 0
        peak = event.get("gpu_memory_peak_bytes")
        if peak is not None:
            self.gpu_memory_peak_bytes = max(peak, self.gpu_memory_peak_bytes or 0)
