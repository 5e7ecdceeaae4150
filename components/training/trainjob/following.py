"""Waiting for the end of a TrainJob: a watch that is begun again whenever it is cut off."""

from collections.abc import Callable, Iterator

from components.shared.errors import StepFailed
from components.training.trainjob.api import Outdated, OutOfReach, Refused
from components.training.trainjob.jobs import Job, TrainJobs
from components.training.trainjob.patience import Patience
from components.training.trainjob.status import State, is_going, state_of


def wait_for_end(
    jobs: TrainJobs, job: Job, patience_s: float, changed: Callable[[State], None]
) -> State:
    """Wait until a job is complete or has failed.

    Args:
        jobs: of the namespace.
        job: as it was last seen; it may have ended.
        patience_s: seconds that the API may be out of reach.
        changed: is told each time that the phase is another than before.

    Raises:
        StepFailed: somebody else deleted it.
        OutOfReach: the API, for longer than that.
        Refused: the right to read or watch it is missing, or was taken away.
    """
    phase = None
    for found in _versions(jobs, job, patience_s):
        if found is None or found["metadata"]["uid"] != job["metadata"]["uid"]:
            raise _deleted(jobs, job)
        state = state_of(found)
        if state.phase != phase:
            phase = state.phase
            changed(state)
        if state.ended:
            return state
        if is_going(found):
            raise _deleted(jobs, job)
    raise AssertionError("a job has no last version")


def _versions(jobs: TrainJobs, job: Job, patience_s: float) -> Iterator[Job | None]:
    """The job as it is, and after each change, without end; null where it is gone."""
    name = job["metadata"]["name"]
    reading, watching = Patience(patience_s), Patience(patience_s, silent=True)
    while True:
        now = reading.ask(lambda: jobs.read(name), let_in=True)
        yield now
        if now is None:
            return
        try:
            for change in jobs.changes(now):
                watching.answered()
                yield change
            watching.answered()
        except Outdated:
            continue
        except (OutOfReach, Refused) as error:
            watching.lose(error)


def _deleted(jobs: TrainJobs, job: Job) -> StepFailed:
    return StepFailed(
        f"the TrainJob {jobs.namespace}/{job['metadata']['name']} was deleted by somebody else "
        "while this step waited for it; the next attempt of the step makes it anew"
    )
