"""The champion of a registered model: which version it is, and its files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.artifacts
import yaml
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.promotion.ledger import View
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, Deployable, read_deployable
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec
from components.shared.recipe.inputs import files_of
from components.shared.results import ChampionRecord
from components.shared.results.profile import DATA_PROFILE


def champion_record(
    client: MlflowClient, registry: RegistrySpec, view: View | None
) -> ChampionRecord:
    """What is known of the champion, or why there is none.

    Args:
        client: of the store.
        registry: names model and alias.
        view: the alias and its history; null where there is no registered model.
    """
    version = view.aliases.get(registry.alias) if view else None
    if view is None or version is None:
        lost = view is not None and _had_champion(client, registry.model, view)
        return ChampionRecord(state="missing" if lost else "first_model", version=None)
    found = client.get_model_version(registry.model, version)
    return version_record(found, view.promoted_at(version))


def _had_champion(client: MlflowClient, model: str, view: View) -> bool:
    """Whether something may have been served before: by the history of the alias, or as a version
    that it does not know. Those that wait for approval, or were turned down, do not count."""
    if any(change.after for change in view.successions):
        return True
    versions = client.search_model_versions(f"name = '{model}'")
    return any(str(found.version) not in view.standing.states for found in versions)


def version_record(found: ModelVersion, promoted_at: datetime | None = None) -> ChampionRecord:
    """What is known of a registered version.

    Args:
        found: the version.
        promoted_at: when it became the champion, if it did.
    """
    return ChampionRecord(
        state="present",
        version=str(found.version),
        registered_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        promoted_at=promoted_at,
        run_id=found.tags.get(tags.RUN_ID),
        dataset_digest=found.tags.get(tags.DATASET_DIGEST),
        teacher_digest=found.tags.get(tags.TEACHER_DIGEST),
        recipe=_recipe(found.run_id),
    )


def _recipe(mlflow_run_id: str | None) -> dict[str, Any] | None:
    """The recipe that the run logged; null where the run or its artifact is gone."""
    if not mlflow_run_id:
        return None
    try:
        recipe = yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{mlflow_run_id}/recipe.yaml"))
    except (MlflowException, OSError, yaml.YAMLError):
        return None
    return recipe if isinstance(recipe, dict) else None


def download_champion(
    client: MlflowClient, registry: RegistrySpec, version: str, folder: Path
) -> None:
    """Fetch the champion's deployable into ``folder``.

    Raises:
        UserError: it cannot be used; the message says what can be done.
    """
    try:
        download(client, registry.model, version, folder)
    except UserError as error:
        raise UserError(
            f"{error}. The alias {registry.alias!r} points at it, so nothing can be compared with "
            "it: restore its files, roll back to another version, or delete the alias and run with "
            "gates.on_missing_champion=promote"
        ) from error


def download(client: MlflowClient, model: str, version: str, folder: Path) -> Deployable:
    """Fetch a version's deployable into ``folder`` and check that it is the one registered.

    Raises:
        UserError: its files are gone, are not those that were registered, or were never there.
    """
    uri, name = f"models:/{model}/{version}", f"version {version} of {model!r}"
    present = {Path(file.path).name for file in mlflow.artifacts.list_artifacts(uri)}

    def fetch(file: str) -> None:
        if file not in present:
            raise UserError(f"{name}: its {file} is gone or was never there")
        mlflow.artifacts.download_artifacts(f"{uri}/{file}", dst_path=str(folder))

    fetch(ONNX_FILE)
    fetch(DEPLOYABLE)
    try:
        deployable = read_deployable(folder)
    except UserError as error:
        raise UserError(f"{name}: its files are damaged: {error}") from error
    for file in files_of(deployable.input):
        fetch(file)
    if DATA_PROFILE in present:  # versions of earlier releases have none
        fetch(DATA_PROFILE)
    registered = client.get_model_version(model, version).tags.get(tags.STUDENT_DIGEST)
    if deployable.onnx_sha256 != registered:
        raise UserError(f"{name}: its {ONNX_FILE} is not the one that was registered")
    return deployable
