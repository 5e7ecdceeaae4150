"""What a TrainJob's status says: a pure function of it.

Only the conditions Complete and Failed end a job. Suspended is a queue at work. A job may be done
before anybody saw it run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["waiting", "suspended", "running", "complete", "failed"]


@dataclass(frozen=True)
class State:
    """How far a job is, and why, in the controller's words."""

    phase: Phase
    reason: str = ""
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.phase in ("complete", "failed")


def state_of(job: Mapping[str, Any]) -> State:
    """How far a job is.

    Args:
        job: as the API has it; its status may not be there yet.
    """
    status = job.get("status") or {}
    true = {
        condition["type"]: (condition.get("reason", ""), condition.get("message", ""))
        for condition in status.get("conditions") or []
        if condition["status"] == "True"
    }
    if "Failed" in true:
        return State("failed", *true["Failed"])
    if "Complete" in true:
        return State("complete", *true["Complete"])
    if "Suspended" in true:
        return State("suspended", *true["Suspended"])
    if job["spec"].get("suspend"):
        return State("suspended")
    jobs = status.get("jobsStatus") or []
    at_work = any(found.get("active") or found.get("ready") for found in jobs)
    return State("running" if at_work else "waiting")


def is_going(job: Mapping[str, Any]) -> bool:
    """Whether the job was deleted, and waits for its pods to end."""
    return "deletionTimestamp" in job["metadata"]
