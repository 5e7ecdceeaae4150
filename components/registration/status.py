"""The state of a registered model: its champion, its figures, and how it got there."""

from collections.abc import Mapping
from datetime import UTC, datetime

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pydantic import BaseModel, ConfigDict

from components.registration import tags
from components.registration.champion import aliases
from components.registration.client import clear_errors, connect
from components.registration.store import locate
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionStatus(_Record):
    """One registered version. What its tags do not say (a version of another tool) is null."""

    version: str
    aliases: list[str]
    verdict: str | None
    registered_at: datetime
    promoted_at: datetime | None
    """When the alias was moved to it; null for a version that never had it."""
    run_id: str | None
    """The pipeline run that made it."""
    mlflow_run_id: str | None
    dataset_digest: str | None
    teacher_digest: str | None
    student_digest: str | None
    candidate: str | None
    """The form of the student that was deployed, such as ``int8_static``."""
    parent_version: str | None
    """The champion that it was compared with and took over from."""
    replaced_by: str | None


class Figures(_Record):
    """What was measured of a version before it was promoted."""

    accuracy: float | None
    accuracy_lower: float | None
    accuracy_upper: float | None
    retention: float | None
    gap_recovered: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    parameters: int | None
    size_bytes: int | None


class Status(_Record):
    """A registered model."""

    model: str
    alias: str
    tracking_uri: str
    """Without credentials."""
    champion: VersionStatus | None
    figures: Figures | None
    """The champion's, from its MLflow run; null where that run is gone."""
    former: VersionStatus | None
    """The champion before."""
    versions: list[VersionStatus]
    """All versions, newest first."""


def read_status(registry: RegistrySpec, tracking_uri: str) -> Status:
    """Read the state of a registered model; changes nothing.

    Args:
        registry: names the registered model and the alias.
        tracking_uri: MLflow tracking URI; empty for the environment's ``MLFLOW_TRACKING_URI``.

    Raises:
        UserError: there is no such registered model.
        TrackingError: MLflow cannot be reached.
    """
    store = locate(tracking_uri)
    if store.database is not None and not store.database.exists():
        raise UserError(f"{store.database}: no such database; nothing has been registered there")
    with clear_errors(store):
        client = connect(store)
        by_alias = aliases(client, registry.model)
        if by_alias is None:
            known = sorted(model.name for model in client.search_registered_models())
            hint = f"it has {', '.join(known)}" if known else "it has none yet"
            raise UserError(
                f"no registered model {registry.model!r} at {store.public_uri} ({hint}); "
                "a run registers it when its student is promoted"
            )
        found = _versions(client, registry.model)
        versions = {str(v.version): _version_status(v, by_alias) for v in found}
        champion = versions.get(by_alias.get(registry.alias, ""))
        return Status(
            model=registry.model,
            alias=registry.alias,
            tracking_uri=store.public_uri,
            champion=champion,
            figures=_figures(client, champion) if champion else None,
            former=versions.get(by_alias.get(tags.former_alias(registry.alias), "")),
            versions=sorted(versions.values(), key=lambda v: int(v.version), reverse=True),
        )


def _versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{model}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _version_status(version: ModelVersion, by_alias: Mapping[str, str]) -> VersionStatus:
    number, tag = str(version.version), version.tags
    return VersionStatus(
        version=number,
        aliases=sorted(alias for alias, target in by_alias.items() if target == number),
        verdict=tag.get(tags.VERDICT),
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        promoted_at=tag.get(tags.PROMOTED_AT),
        run_id=tag.get(tags.RUN_ID),
        mlflow_run_id=version.run_id or None,
        dataset_digest=tag.get(tags.DATASET_DIGEST),
        teacher_digest=tag.get(tags.TEACHER_DIGEST),
        student_digest=tag.get(tags.STUDENT_DIGEST),
        candidate=tag.get(tags.CANDIDATE),
        parent_version=tag.get(tags.PARENT_VERSION) or None,
        replaced_by=tag.get(tags.REPLACED_BY),
    )


def _figures(client: MlflowClient, version: VersionStatus) -> Figures | None:
    if version.mlflow_run_id is None:
        return None
    try:
        metrics = client.get_run(version.mlflow_run_id).data.metrics
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    overall = ("retention", "gap_recovered")
    values = {
        name: metrics.get(name if name in overall else f"deployed.{name}")
        for name in Figures.model_fields
    }
    return Figures.model_validate(values)
