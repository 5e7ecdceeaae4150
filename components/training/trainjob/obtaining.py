"""Having the TrainJob of a step: made, or found as an attempt before has left it."""

import time

from components.shared import events
from components.shared.errors import UserError
from components.training.trainjob.api import Conflict, OutOfReach
from components.training.trainjob.jobs import Job, TrainJobs
from components.training.trainjob.manifest import SPEC_DIGEST
from components.training.trainjob.patience import Patience
from components.training.trainjob.status import is_going

_PAUSE_S = 1.0


def obtain(jobs: TrainJobs, wanted: Job, patience: Patience) -> Job:
    """The job as the cluster has it.

    One that is there and was made for the same is taken over, whatever its state; one that is being
    deleted is waited for, since its pods still write checkpoints, and made anew.

    Args:
        jobs: of the namespace.
        wanted: the job to make.
        patience: with an API that does not answer.

    Raises:
        UserError: there is another job of that name.
        OutOfReach: the API, for longer than patience lasts.
    """
    name, waited = wanted["metadata"]["name"], False
    while True:
        found = patience.ask(lambda: jobs.read(name))
        if found is None:
            try:
                made = patience.ask(lambda: jobs.create(wanted))
            except Conflict:  # made by a request whose answer was lost
                continue
            events.emit("train_job_created", name=name, namespace=jobs.namespace)
            return made
        if not is_made_for(found, wanted):
            raise UserError(
                f"the TrainJob {jobs.namespace}/{name} that is there is not this step's, or is for "
                "another image, other resources or another command; if nobody needs it: "
                f"kubectl delete trainjob {name} --namespace {jobs.namespace}"
            )
        if not is_going(found):
            events.emit("train_job_found", name=name, namespace=jobs.namespace)
            return found
        if not waited:
            events.emit("train_job_awaited", name=name, reason="the pods of the last one end")
            waited = True
        time.sleep(_PAUSE_S)


def is_made_for(found: Job, wanted: Job) -> bool:
    """Whether a job is what somebody wanted, when it was made."""
    given = found["metadata"].get("annotations") or {}
    return bool(given.get(SPEC_DIGEST) == wanted["metadata"]["annotations"][SPEC_DIGEST])


def delete(jobs: TrainJobs, wanted: Job, patience_s: float) -> None:
    """Delete the job, if it is there; where that fails it is said, and left to the exit task.

    Args:
        jobs: of the namespace.
        wanted: the job as it was to be made.
        patience_s: seconds that an API that does not answer is asked.
    """
    name, patience = wanted["metadata"]["name"], Patience(patience_s)
    try:
        found = patience.ask(lambda: jobs.read(name))
        if found is not None and is_made_for(found, wanted) and not is_going(found):
            patience.ask(lambda: jobs.delete(found))
            events.emit("train_job_deleted", name=name)
    except (OutOfReach, UserError, Conflict) as error:
        events.emit("train_job_left", name=name, reason=str(error))
