"""The champion of a registered model: which version it is, and its files."""

from pathlib import Path
from typing import Any

import mlflow.artifacts
import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec
from components.shared.results import ChampionRecord


def aliases(client: MlflowClient, model: str) -> dict[str, str] | None:
    """Version by alias; null where there is no such registered model."""
    try:
        found = client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return {alias: str(version) for alias, version in found.items()}


def champion_version(client: MlflowClient, registry: RegistrySpec) -> str | None:
    """The version that the alias points at, if there is one."""
    return (aliases(client, registry.model) or {}).get(registry.alias)


def champion_record(client: MlflowClient, registry: RegistrySpec) -> ChampionRecord:
    """What is known of the champion, or why there is none."""
    by_alias = aliases(client, registry.model)
    version = (by_alias or {}).get(registry.alias)
    if version is None:
        versions = by_alias is not None and client.search_model_versions(
            f"name = '{registry.model}'", max_results=1
        )
        return ChampionRecord(state="missing" if versions else "first_model", version=None)
    found = client.get_model_version(registry.model, version)
    return ChampionRecord(
        state="present",
        version=version,
        promoted_at=found.tags.get(tags.PROMOTED_AT),
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


def download(client: MlflowClient, registry: RegistrySpec, version: str, folder: Path) -> None:
    """Fetch a version's deployable into ``folder`` and check that it is the one registered.

    Raises:
        UserError: its files are gone, are not those that were registered, or were never there.
    """
    uri = f"models:/{registry.model}/{version}"
    present = {Path(file.path).name for file in mlflow.artifacts.list_artifacts(uri)}
    for name in (ONNX_FILE, DEPLOYABLE):
        if name not in present:
            raise _unusable(registry, version, f"its {name} is gone or was never there")
        mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=str(folder))
    try:
        deployable = read_deployable(folder)
    except UserError as error:
        raise _unusable(registry, version, f"its files are damaged: {error}") from error
    registered = client.get_model_version(registry.model, version).tags.get(tags.STUDENT_DIGEST)
    if deployable.onnx_sha256 != registered:
        raise _unusable(registry, version, f"its {ONNX_FILE} is not the one that was registered")


def _unusable(registry: RegistrySpec, version: str, problem: str) -> UserError:
    return UserError(
        f"version {version} of {registry.model!r}, which the alias {registry.alias!r} points at, "
        f"cannot be compared with: {problem}. Restore its files, point the alias at another "
        "version, or delete the alias and run with gates.on_missing_champion=promote"
    )
