"""The version of a registered model that a pipeline run makes: found again, or registered.

A run id and the digest of the student's file identify it.
"""

from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.card import version_description
from components.registration.retrying import create_once
from components.registration.submission import Submission


def new_version(client: MlflowClient, run: Run, model: LoggedModel, submission: Submission) -> str:
    """Register the student, or find it registered; say in its tags how it was judged.

    To be called under the lock of the model's alias.

    Args:
        client: of a registry that has the registered model.
        run: the MLflow run of the pipeline run.
        model: the upload, which is complete.
        submission: what is registered.

    Returns:
        The version: the same one at every attempt, and when the student is judged anew.
    """
    version = create_once(
        lambda: next(iter(_own_versions(client, submission)), None),
        lambda: client.create_model_version(
            submission.registry.model,
            f"models:/{model.model_id}",
            run.info.run_id,
            tags=submission.tags,
            description=version_description(submission),
            model_id=model.model_id,
        ),
    )
    _bring_up_to_date(client, version, submission)
    _remove_duplicates(client, submission)
    return str(version.version)


def _own_versions(client: MlflowClient, submission: Submission) -> list[ModelVersion]:
    """Oldest first; more than one only where an answer got lost at an unlucky moment."""
    found = client.search_model_versions(
        f"name = '{submission.registry.model}' "
        f"AND tags.`{tags.RUN_ID}` = '{submission.run_id}' "
        f"AND tags.`{tags.STUDENT_DIGEST}` = '{submission.decision.student_digest}'"
    )
    return sorted(found, key=lambda version: int(version.version))


def _bring_up_to_date(client: MlflowClient, version: ModelVersion, submission: Submission) -> None:
    """A student that was judged again keeps its version, and what is said of it changes."""
    name, number = version.name, str(version.version)
    changed = {
        tag: value for tag, value in submission.tags.items() if version.tags.get(tag) != value
    }
    for tag, value in changed.items():
        client.set_model_version_tag(name, number, tag, value)
    description = version_description(submission)
    if version.description != description:
        client.update_model_version(name, number, description)


def _remove_duplicates(client: MlflowClient, submission: Submission) -> None:
    """Delete what a lost answer left beside the oldest; nothing has ever pointed at it."""
    for version in _own_versions(client, submission)[1:]:
        found = client.get_model_version(version.name, str(version.version))
        if not found.aliases:
            client.delete_model_version(version.name, str(version.version))
