"""The state of a registered model: its champion, its figures, and how it got there."""

from collections.abc import Iterator
from datetime import UTC, datetime

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient
from pydantic import BaseModel, ConfigDict

from components.registration import tags
from components.registration.client import existing
from components.registration.promotion.ledger import View
from components.registration.promotion.registered import registered
from components.registration.promotion.states import State
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionStatus(_Record):
    """One registered version. What its tags do not say (a version of another tool) is null."""

    version: str
    aliases: list[str]
    state: State | None
    """By the history of the alias; null for a version that it does not know."""
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
    compared_with: str | None
    """The champion that it was measured against."""
    took_over_from: str | None
    """The champion before it, by the history."""
    replaced_by: str | None
    git_commit: str | None
    shadow: str | None
    """What the latest comparison with the champion on fresh rows came to."""


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
    challenger: VersionStatus | None
    """The version that waits for approval."""
    versions: list[VersionStatus]
    """All versions, newest first."""
    notes: list[str]
    """What is out of order: an interrupted move, a history that was tampered with."""


def read_status(registry: RegistrySpec, tracking_uri: str = "") -> Status:
    """Read the state of a registered model; changes nothing.

    Args:
        registry: names the registered model and the alias.
        tracking_uri: MLflow tracking URI; empty for the environment's ``MLFLOW_TRACKING_URI``.

    Raises:
        UserError: there is no such registered model.
        TrackingError: MLflow cannot be reached.
    """
    with registered(registry, tracking_uri) as model:
        view, alias = model.view, registry.alias
        found = _versions(model.client, registry.model)
        versions = {str(v.version): _version_status(v, view) for v in found}
        champion = versions.get(view.aliases.get(alias, ""))
        return Status(
            model=registry.model,
            alias=alias,
            tracking_uri=model.public_uri,
            champion=champion,
            figures=_figures(model.client, champion) if champion else None,
            former=versions.get(view.aliases.get(tags.former_alias(alias), "")),
            challenger=versions.get(view.aliases.get(tags.challenger_alias(alias), "")),
            versions=sorted(versions.values(), key=lambda v: int(v.version), reverse=True),
            notes=[*_notes(view, alias)],
        )


def _notes(view: View, alias: str) -> Iterator[str]:
    """What is out of order."""
    try:
        view.verify()
    except UserError as error:
        yield f"{error}; see kubedistill history"
        return
    if view.last > view.settled:
        yield (
            f"move {view.last} was interrupted; the next run or command that moves the alias "
            "completes it"
        )
    elif view.unsettled(alias):
        yield f"the alias {alias} was moved without this program"


def _versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{model}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _version_status(version: ModelVersion, view: View) -> VersionStatus:
    number, tag = str(version.version), version.tags
    return VersionStatus(
        version=number,
        aliases=sorted(alias for alias, target in view.aliases.items() if target == number),
        state=view.standing.states.get(number),
        verdict=tag.get(tags.VERDICT),
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        promoted_at=view.promoted_at(number),
        run_id=tag.get(tags.RUN_ID),
        mlflow_run_id=version.run_id or None,
        dataset_digest=tag.get(tags.DATASET_DIGEST),
        teacher_digest=tag.get(tags.TEACHER_DIGEST),
        student_digest=tag.get(tags.STUDENT_DIGEST),
        candidate=tag.get(tags.CANDIDATE),
        compared_with=tag.get(tags.PARENT_VERSION) or None,
        took_over_from=view.took_over_from(number),
        replaced_by=view.replaced_by(number),
        git_commit=tag.get(tags.GIT_COMMIT) or None,
        shadow=tag.get(tags.SHADOW) or None,
    )


def _figures(client: MlflowClient, version: VersionStatus) -> Figures | None:
    run_id = version.mlflow_run_id
    run = existing(lambda: client.get_run(run_id)) if run_id else None
    if run is None:
        return None
    metrics = run.data.metrics
    overall = ("retention", "gap_recovered")
    values = {
        name: metrics.get(name if name in overall else f"deployed.{name}")
        for name in Figures.model_fields
    }
    return Figures.model_validate(values)
