"""One MLflow run for each pipeline run, whatever its verdict."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import yaml
from mlflow.entities import Experiment, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import figures, tags
from components.registration.store import Store
from components.registration.submission import Submission
from components.shared.errors import UserError
from components.shared.files import write_atomically

T = TypeVar("T")

_PARAMETERS_PER_REQUEST = 100
_METRICS_PER_REQUEST = 1000
"""Both are MLflow's limits for one ``log_batch``."""


@contextmanager
def pipeline_run(client: MlflowClient, store: Store, submission: Submission) -> Iterator[Run]:
    """The MLflow run of this pipeline run: the platform's, an earlier attempt's, or a new one.

    A run of our own ends FINISHED, or FAILED when the block raises. A run that the platform opened
    (``MLFLOW_RUN_ID``) is the platform's to end.

    Raises:
        UserError: the experiment is deleted, or ``MLFLOW_RUN_ID`` names no run.
    """
    platform_run = os.environ.get("MLFLOW_RUN_ID")
    if platform_run:
        yield _existing_run(client, platform_run)
        return
    run = _own_run(client, _experiment_id(client, store, submission), submission)
    try:
        yield run
    except Exception:
        # What went wrong first is the error to report, also when the server is gone by now.
        with suppress(MlflowException):
            client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def record(client: MlflowClient, run: Run, submission: Submission) -> None:
    """Log parameters, tags, metrics, learning curves and artifacts; a repetition adds nothing."""
    run_id = run.info.run_id
    evaluation, bundles = submission.evaluation, submission.bundles
    # The same timestamp at every attempt: MLflow drops points that it has already.
    timestamp = run.info.start_time
    points = [
        (name, value, 0) for name, value in figures.metrics(evaluation, submission.decision).items()
    ]
    metrics = [
        Metric(name, value, timestamp, step)
        for name, value, step in points + figures.curves(bundles)
    ]
    # A parameter cannot be logged again with another value, and the platform may have some.
    recipe = submission.recipe.model_dump(mode="json", exclude_none=True)
    parameters = [
        Param(name, value)
        for name, value in figures.parameters(recipe, bundles).items()
        if name not in run.data.params
    ]
    notes = submission.tags | {"mlflow.note.content": submission.decision.summary}
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in notes.items()])
    for some in _batches(parameters, _PARAMETERS_PER_REQUEST):
        client.log_batch(run_id, params=some)
    for part in _batches(metrics, _METRICS_PER_REQUEST):
        client.log_batch(run_id, metrics=part)
    _log_artifacts(client, run_id, submission)


def _log_artifacts(client: MlflowClient, run_id: str, submission: Submission) -> None:
    inputs = submission.inputs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # KFP's artifacts have no file name extension, and MLflow shows files by theirs.
        shutil.copyfile(inputs.report, folder / "report.html")
        shutil.copyfile(inputs.decision, folder / "decision.json")
        shutil.copyfile(inputs.evaluation, folder / "evaluation.json")
        recipe = yaml.safe_dump(
            submission.recipe.model_dump(mode="json", exclude_none=True), sort_keys=False
        )
        write_atomically(folder / "recipe.yaml", recipe)
        client.log_artifacts(run_id, str(folder))
    client.log_artifacts(run_id, str(inputs.bundles["student"]), "student/bundle")
    client.log_artifacts(run_id, str(submission.student), "student/deployable")


def _existing_run(client: MlflowClient, run_id: str) -> Run:
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"MLFLOW_RUN_ID is {run_id}, but the MLflow server has no such run; unset it, or point "
            "the tracking URI at the server that the run is on"
        ) from error


def _own_run(client: MlflowClient, experiment_id: str, submission: Submission) -> Run:
    """The run of an earlier attempt, reopened, or a new one."""
    found = client.search_runs(
        [experiment_id],
        f"tags.`{tags.RUN_ID}` = '{submission.run_id}'",
        ViewType.ACTIVE_ONLY,
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return found[0]
    return client.create_run(
        experiment_id,
        tags={tags.RUN_ID: submission.run_id},
        run_name=f"{submission.recipe.name}-{submission.run_id}",
    )


def _experiment_id(client: MlflowClient, store: Store, submission: Submission) -> str:
    platform_experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if platform_experiment:
        return platform_experiment
    name = submission.registry.experiment
    experiment = client.get_experiment_by_name(name) or _new_experiment(client, store, name)
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"registry.experiment: the MLflow experiment {name!r} is deleted; restore it "
            f"(mlflow experiments restore -x {experiment.experiment_id}) or choose another name"
        )
    return str(experiment.experiment_id)


def _new_experiment(client: MlflowClient, store: Store, name: str) -> Experiment:
    try:
        client.create_experiment(name, artifact_location=store.artifact_location)
    except MlflowException as error:
        # Another run has made it since it was looked up.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
