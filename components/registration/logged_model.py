"""The student as a logged model of the run: uploaded once, and whole before it is used."""

import tempfile
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelStatus, Run
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.packaging import save_mlflow_model
from components.registration.retrying import create_once
from components.registration.submission import Submission
from components.shared.deployable import DEPLOYABLE, ONNX_FILE

_DESCRIPTION = "MLmodel"
_OLDEST_FIRST = [{"field_name": "creation_timestamp", "ascending": True}]


def logged_model(client: MlflowClient, run: Run, submission: Submission) -> LoggedModel:
    """The student as a logged model of the run, with all of its files in place.

    An earlier attempt's upload is used again if it was completed and is still there; what one that
    was killed left half-done is done again.
    """
    model = create_once(
        lambda: _own_model(client, run, submission),
        lambda: client.create_logged_model(
            run.info.experiment_id,
            "student",
            run.info.run_id,
            tags=submission.identity,
            model_type="student",
        ),
    )
    if _is_whole(client, model, submission):
        return model
    _upload(client, run, model, submission)
    client.set_logged_model_tags(
        model.model_id, {tags.UPLOADED_DIGEST: submission.decision.student_digest}
    )
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY.value)


def _own_model(client: MlflowClient, run: Run, submission: Submission) -> LoggedModel | None:
    found = client.search_logged_models(
        [run.info.experiment_id],
        f"tags.`{tags.RUN_ID}` = '{submission.run_id}' "
        f"AND tags.`{tags.STUDENT_DIGEST}` = '{submission.decision.student_digest}'",
        order_by=_OLDEST_FIRST,
    )
    oldest_first = sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))
    return oldest_first[0] if oldest_first else None


def _is_whole(client: MlflowClient, model: LoggedModel, submission: Submission) -> bool:
    """Whether its upload was completed, and its files are still there in their full size."""
    complete = (
        model.status == LoggedModelStatus.READY
        and model.tags.get(tags.UPLOADED_DIGEST) == submission.decision.student_digest
    )
    if not complete:
        return False
    sizes = {
        file.path: file.file_size for file in client.list_logged_model_artifacts(model.model_id)
    }
    return _DESCRIPTION in sizes and all(
        sizes.get(name) == (submission.student / name).stat().st_size
        for name in (ONNX_FILE, DEPLOYABLE)
    )


def _upload(client: MlflowClient, run: Run, model: LoggedModel, submission: Submission) -> None:
    description = Model(run_id=run.info.run_id, model_id=model.model_id)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        save_mlflow_model(submission, description, folder)
        client.log_model_artifacts(model.model_id, str(folder))
