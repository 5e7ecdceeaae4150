"""Registering a student and making it the champion: idempotent, and only over the champion that it
was compared with."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from components.registration import figures, tags
from components.registration.champion import champion_version
from components.registration.packaging import save_mlflow_model
from components.registration.store import Store
from components.registration.submission import Submission


class ChampionMoved(Exception):  # noqa: N818 - reads as an event
    """The alias no longer points at the champion that the student was compared with."""


def promote(client: MlflowClient, store: Store, run: Run, submission: Submission) -> str:
    """Register the student and move the alias to it; return its version.

    An earlier attempt of the same run is continued: its version is used, and nothing happens where
    the alias is on it already.

    Raises:
        ChampionMoved: another run was promoted since the champion was measured; the alias stays.
    """
    registry = submission.registry
    own = _own_version(client, submission)
    champion = champion_version(client, registry)
    if own is not None and champion == own:
        _record_move(client, submission, own)
        return own
    _check_champion(champion, submission)
    # Uploads stay outside the lock: they may be long.
    model = None if own else _logged_model(client, run, submission)
    with store.locked():
        _check_champion(champion_version(client, registry), submission)
        version = own or _new_version(client, run, model, submission)
        _move_alias(client, submission, version)
        _record_move(client, submission, version)
    return version


def _check_champion(found: str | None, submission: Submission) -> None:
    expected = submission.decision.champion_version
    if found == expected:
        return
    name = f"the {submission.registry.alias} of {submission.registry.model!r}"
    if expected is None:
        raise ChampionMoved(
            f"version {found} became {name} while this student was being measured without one; "
            "run again"
        )
    raise ChampionMoved(
        f"{name} moved from {expected} to {found or 'none'} while this student was being measured "
        f"against {expected}; run again"
    )


def _move_alias(client: MlflowClient, submission: Submission, version: str) -> None:
    """Look, move, look again: a server has no lock, and its last write wins."""
    registry = submission.registry
    _check_champion(champion_version(client, registry), submission)
    client.set_registered_model_alias(registry.model, registry.alias, version)
    found = champion_version(client, registry)
    if found != version:
        raise ChampionMoved(
            f"version {found} took the alias {registry.alias!r} of {registry.model!r} at the same "
            f"moment as version {version}; run again"
        )


def _record_move(client: MlflowClient, submission: Submission, version: str) -> None:
    """What is known of a move once it is done; a repetition changes nothing."""
    model, alias = submission.registry.model, submission.registry.alias
    former = submission.decision.champion_version
    if former is not None:
        client.set_registered_model_alias(model, tags.former_alias(alias), former)
        client.set_model_version_tag(model, former, tags.REPLACED_BY, version)
    if tags.PROMOTED_AT not in client.get_model_version(model, version).tags:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        client.set_model_version_tag(model, version, tags.PROMOTED_AT, now)


def _own_version(client: MlflowClient, submission: Submission) -> str | None:
    """The version that an earlier attempt registered, if it did."""
    found = client.search_model_versions(
        f"name = '{submission.registry.model}' "
        f"AND tags.`{tags.RUN_ID}` = '{submission.run_id}' "
        f"AND tags.`{tags.STUDENT_DIGEST}` = '{submission.decision.student_digest}'"
    )
    return str(found[0].version) if found else None


def _new_version(client: MlflowClient, run: Run, model: LoggedModel, submission: Submission) -> str:
    name = submission.registry.model
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    parent = {tags.PARENT_VERSION: submission.decision.champion_version or ""}
    version: ModelVersion = client.create_model_version(
        name,
        f"models:/{model.model_id}",
        run.info.run_id,
        tags=submission.tags | parent,
        description=figures.description(
            submission.recipe.name,
            submission.bundles["student"],
            submission.evaluation,
            submission.decision,
            submission.run_id,
        ),
        model_id=model.model_id,
    )
    return str(version.version)


def _logged_model(client: MlflowClient, run: Run, submission: Submission) -> LoggedModel:
    """The student as a logged model of the run; an earlier attempt's upload is used again."""
    experiment = run.info.experiment_id
    found = client.search_logged_models(
        [experiment],
        f"tags.`{tags.RUN_ID}` = '{submission.run_id}' "
        f"AND tags.`{tags.STUDENT_DIGEST}` = '{submission.decision.student_digest}'",
        max_results=1,
    )
    if found and found[0].status == LoggedModelStatus.READY:
        return found[0]
    model = (
        found[0]
        if found
        else client.create_logged_model(
            experiment, "student", run.info.run_id, tags=submission.tags, model_type="student"
        )
    )
    description = Model(run_id=run.info.run_id, model_id=model.model_id)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        save_mlflow_model(submission, description, folder)
        client.log_model_artifacts(model.model_id, str(folder))
    return client.finalize_logged_model(model.model_id, "READY")
