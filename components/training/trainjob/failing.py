"""Why a TrainJob failed: its own message, and what the pod that failed first said last."""

from components.shared import events
from components.shared.errors import UserError
from components.training.trainjob.api import OutOfReach
from components.training.trainjob.jobs import Job
from components.training.trainjob.pods import Ended, Pods, first_failure
from components.training.trainjob.status import State

_TAIL = 20
"""Lines of that pod."""


def failure_of(job: Job, state: State, pods: Pods) -> str:
    """One line; the last lines of the pod are an event.

    Args:
        job: that failed.
        state: with its message.
        pods: of the namespace; they may be gone, or out of reach.
    """
    metadata = job["metadata"]
    said = ": ".join(filter(None, (state.reason, state.message)))
    failed = f"the TrainJob {metadata['namespace']}/{metadata['name']} failed ({said})"
    try:
        ended = first_failure(pods.of_job(metadata["name"]))
    except (OutOfReach, UserError) as error:
        return f"{failed}; its pods cannot be read: {error}"
    if ended is None:
        return failed
    tail = _last_lines(ended, pods)
    return f"{failed}; {ended}" + (f": {tail[-1].strip()}" if tail else "")


def _last_lines(ended: Ended, pods: Pods) -> list[str]:
    try:
        tail = [line for line in pods.tail(ended.pod, _TAIL) if line.strip()]
    except (OutOfReach, UserError) as error:
        tail = [f"(its log cannot be read: {error})"]
    events.emit(
        "train_job_pod_failed",
        pod=ended.pod,
        node=ended.node,
        status=ended.status,
        reason=ended.reason,
        log=tail,
    )
    return tail
