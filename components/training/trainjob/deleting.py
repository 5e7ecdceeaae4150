"""The exit task: no TrainJob of a run outlives it."""

from components.shared import events
from components.shared.cluster import connect_to_cluster
from components.shared.errors import StepFailed
from components.training.trainjob.api import Api, Conflict, OutOfReach
from components.training.trainjob.jobs import Job, TrainJobs
from components.training.trainjob.patience import Patience
from components.training.trainjob.status import is_going

_PATIENCE_S = 300.0


def delete_train_jobs(run_id: str) -> int:
    """Delete what training steps have left: those that were killed without a warning.

    Args:
        run_id: of the pipeline run.

    Returns:
        How many there were.

    Raises:
        SystemExit: with status 2, where the rights are missing.
        StepFailed: the API is out of reach.
    """
    with events.step("delete_train_jobs"):
        client, namespace = connect_to_cluster()
        jobs, patience = TrainJobs(Api(client, namespace or "default")), Patience(_PATIENCE_S)
        try:
            left = [job for job in patience.ask(lambda: jobs.of_run(run_id)) if not is_going(job)]
            for job in left:
                _delete(jobs, job, patience)
        except OutOfReach as error:
            raise StepFailed(f"{error}; TrainJobs of the run {run_id} may be left") from error
        return len(left)


def _delete(jobs: TrainJobs, job: Job, patience: Patience) -> None:
    name = job["metadata"]["name"]
    try:
        patience.ask(lambda: jobs.delete(job))
    except Conflict:  # another one of that name: made since, and so not left
        return
    events.emit("train_job_deleted", name=name)
