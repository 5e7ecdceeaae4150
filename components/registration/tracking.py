"""One MLflow run for each pipeline run, whatever its verdict."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Experiment, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import figures, tags
from components.registration.card import MODEL_CARD, model_card
from components.registration.client import existing
from components.registration.retrying import create_once, single_attempt
from components.registration.store import Store
from components.registration.submission import Submission
from components.shared import telemetry
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
        with suppress(MlflowException), single_attempt():
            client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def record(client: MlflowClient, run: Run, submission: Submission) -> None:
    """Log parameters, tags, metrics, learning curves and artifacts; a repetition adds nothing."""
    run_id = run.info.run_id
    figures_at = _figures_at(run, submission)
    metrics = [
        Metric(name, value, figures_at, step)
        for name, value, step in figures.points(
            submission.evaluation, submission.decision, submission.bundles
        )
    ]
    measured = {arm: telemetry.kept(folder) for arm, folder in submission.inputs.bundles.items()}
    told = figures.throughput(measured) | figures.member_weights(submission.teacher)
    metrics += [Metric(name, value, figures_at, 0) for name, value in told.items()]
    # A parameter cannot be logged again with another value, and the platform may have some.
    recipe = submission.recipe.model_dump(mode="json", exclude_none=True)
    known = figures.parameters(recipe, submission.bundles, submission.data.rows)
    known |= figures.chain(submission.assistants)
    parameters = [
        Param(name, value) for name, value in known.items() if name not in run.data.params
    ]
    notes = submission.tags | {
        tags.FIGURES_AT: str(figures_at),
        "mlflow.note.content": submission.decision.summary,
    }
    _log_artifacts(client, run_id, submission)
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in notes.items()])
    for some in _batches(parameters, _PARAMETERS_PER_REQUEST):
        client.log_batch(run_id, params=some)
    for part in _batches(metrics, _METRICS_PER_REQUEST):
        client.log_batch(run_id, metrics=part)


def _figures_at(run: Run, submission: Submission) -> int:
    """Timestamp of the figures, milliseconds since the epoch.

    MLflow drops points that it has already, and of several at one step it shows the one with the
    latest timestamp. So figures keep theirs at every attempt, and when the student is judged anew
    in the same run, they get a later one.
    """
    known = run.data.tags
    before = int(known.get(tags.FIGURES_AT, 0))
    judged = {tags.DECISION_DIGEST, tags.EVALUATION_DIGEST}
    if before and all(known.get(name) == submission.tags[name] for name in judged):
        return before
    return max(int(time.time() * 1000), before + 1)


def _log_artifacts(client: MlflowClient, run_id: str, submission: Submission) -> None:
    inputs = submission.inputs
    client.log_artifacts(run_id, str(inputs.bundles["student"]), "student/bundle")
    client.log_artifacts(run_id, str(submission.student), "student/deployable")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # KFP's artifacts have no file name extension, and MLflow shows files by theirs.
        shutil.copyfile(inputs.report, folder / "report.html")
        shutil.copyfile(inputs.decision, folder / "decision.json")
        shutil.copyfile(inputs.evaluation, folder / "evaluation.json")
        write_atomically(folder / "recipe.yaml", submission.recipe_yaml)
        write_atomically(folder / MODEL_CARD, model_card(submission))
        client.log_artifacts(run_id, str(folder))


def _existing_run(client: MlflowClient, run_id: str) -> Run:
    found = existing(lambda: client.get_run(run_id))
    if found is None:
        raise UserError(
            f"MLFLOW_RUN_ID is {run_id}, but the MLflow server has no such run; unset it, or point "
            "the tracking URI at the server that the run is on"
        )
    return found


def _own_run(client: MlflowClient, experiment_id: str, submission: Submission) -> Run:
    """The run of an earlier attempt, reopened, or a new one."""
    run = create_once(
        lambda: _found_run(client, experiment_id, submission.run_id),
        lambda: client.create_run(
            experiment_id,
            tags={tags.RUN_ID: submission.run_id},
            run_name=f"{submission.recipe.name}-{submission.run_id}",
        ),
    )
    if run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    return run


def _found_run(client: MlflowClient, experiment_id: str, run_id: str) -> Run | None:
    """The MLflow run of a pipeline run.

    Where two attempts have made one each, it is the one that has figures, otherwise the oldest:
    times are those of the attempts, so that a request which arrives late makes an old run.
    """
    found = client.search_runs(
        [experiment_id], f"tags.`{tags.RUN_ID}` = '{run_id}'", ViewType.ACTIVE_ONLY
    )
    return min(
        found,
        key=lambda run: (
            tags.FIGURES_AT not in run.data.tags,
            run.info.start_time,
            run.info.run_id,
        ),
        default=None,
    )


def _experiment_id(client: MlflowClient, store: Store, submission: Submission) -> str:
    platform_experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if platform_experiment:
        return platform_experiment
    name = submission.registry.experiment
    experiment: Experiment = create_once(
        lambda: client.get_experiment_by_name(name),
        lambda: client.get_experiment(
            client.create_experiment(name, artifact_location=store.artifact_location)
        ),
    )
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"registry.experiment: the MLflow experiment {name!r} is deleted; restore it "
            f"(mlflow experiments restore -x {experiment.experiment_id}) or choose another name"
        )
    return str(experiment.experiment_id)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
