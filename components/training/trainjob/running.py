"""Training in a TrainJob, from making it to deleting it."""

import os
from collections.abc import Mapping

from components.shared import events
from components.shared.cluster import connect_to_cluster
from components.shared.errors import StepFailed, UserError
from components.shared.train_job import TrainJobSettings
from components.training.trainjob.api import Api, OutOfReach
from components.training.trainjob.failing import failure_of
from components.training.trainjob.following import wait_for_end
from components.training.trainjob.jobs import Job, TrainJobs
from components.training.trainjob.logs import LogFollower
from components.training.trainjob.manifest import train_job
from components.training.trainjob.obtaining import delete, obtain
from components.training.trainjob.patience import Patience
from components.training.trainjob.pods import Pods
from components.training.trainjob.status import State

_POD = "KFP_POD_NAME"
_LOG_S = 15.0
"""For the rest of a log, once the job has ended."""
_DELETING_S, _DELETING_IN_HASTE_S = 60.0, 10.0
"""How long an API that does not answer is asked to delete; after SIGTERM a pod has 30 s in all."""


def run(
    settings: TrainJobSettings, name: str, command: list[str], environment: Mapping[str, str]
) -> None:
    """Train in a TrainJob, and pass on what its first node says.

    The job is deleted at the end, whatever that is. Only where the API is out of reach it stays,
    and the next attempt takes it over.

    Args:
        settings: how its pods run.
        name: what is trained, unlike every other training of the run.
        command: of each pod.
        environment: plain variables of each pod; the run's and the recipe's names among them.

    Raises:
        StepFailed: the job failed, was deleted, or the API is out of reach.
        UserError: the cluster has no Trainer, the rights are missing, the job is refused, or there
            is another one of its name.
        Terminated: after SIGTERM.
    """
    from components.shared.training.termination import Termination

    client, namespace = connect_to_cluster()
    api = Api(client, namespace or "default")
    jobs, pods = TrainJobs(api), Pods(api)
    with Termination().watched():
        try:
            pod = os.environ.get(_POD)
            # Not the step's pod: the job would go with it, and the next attempt could not take it
            # over.
            patience = Patience(settings.patience_s)
            owner = patience.ask(lambda: pods.workflow_of(pod)) if pod else None
            wanted = train_job(settings, name, command, environment, owner)
            _attend(wanted, jobs, pods, settings.patience_s)
        except OutOfReach as error:
            raise StepFailed(
                f"{error}; a TrainJob that was made stays, to be taken over"
            ) from error


def _attend(wanted: Job, jobs: TrainJobs, pods: Pods, patience_s: float) -> None:
    try:
        job = obtain(jobs, wanted, Patience(patience_s))
        state = _follow(job, jobs, pods, patience_s)
        if state.phase == "failed":
            raise StepFailed(failure_of(job, state, pods))
    except (OutOfReach, UserError):  # there is none, it is not ours, or cannot be deleted either
        raise
    except SystemExit:  # by SIGTERM
        delete(jobs, wanted, _DELETING_IN_HASTE_S)
        raise
    except BaseException:
        delete(jobs, wanted, _DELETING_S)
        raise
    delete(jobs, wanted, _DELETING_S)


def _follow(job: Job, jobs: TrainJobs, pods: Pods, patience_s: float) -> State:
    name = job["metadata"]["name"]
    log = LogFollower(pods, name)

    def tell(state: State) -> None:
        told = {"reason": state.reason, "message": state.message}
        events.emit("train_job", name=name, phase=state.phase, **told)
        log.heed(state.phase)

    try:
        state = wait_for_end(jobs, job, patience_s, tell)
    except BaseException:
        log.finish(0)
        raise
    log.finish(_LOG_S)
    return state
