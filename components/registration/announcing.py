"""What follows a move: receivers are told of it, and KServe is made to serve the champion.

Receivers are the webhooks of the recipe and, in a pod that may talk to the Kubernetes API, its
namespace, which gets an event.

Neither can undo a move. What fails is said, and tried again by the next command or run.
"""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.client import existing
from components.registration.figures import deployed
from components.registration.hooks.cloud_event import (
    Event,
    Origin,
    event_of_move,
    event_of_rejection,
)
from components.registration.hooks.kserve import Served, inference_service, storage_uri, to_yaml
from components.registration.hooks.kubernetes_event import Pod, own_pod, write_event
from components.registration.hooks.outbox import dispatch, enrol
from components.registration.hooks.webhook import Delivery, check_hooks, deliver
from components.registration.outages import explain, is_outage
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.moves import Entry
from components.registration.submission import Submission
from components.shared import events
from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.recipe.hooks import WebhookSpec

_CURSOR = "kubedistill.delivered"
_MOST_RECIPES = 10
"""Versions whose recipes are looked at."""
RECIPE = "recipe.yaml"
"""As a run's MLflow run has it."""
SERVICE_FILE = "inference-service.yaml"


@dataclass(frozen=True)
class Announcer:
    """Tells of the moves of one alias."""

    client: MlflowClient
    ledger: Ledger
    registry: RegistrySpec
    public_uri: str
    """Of MLflow, without credentials."""

    @property
    def origin(self) -> Origin:
        """Whose history it is."""
        return Origin(self.public_uri, self.registry.model, self.registry.alias)

    def prepare(self, run: Run, run_id: str) -> None:
        """Before a run moves anything: see that what follows can work, and who listens from here.

        Args:
            run: the MLflow run, beside whose artifacts the version's files will lie.
            run_id: the pipeline run; receivers that are new are told of its moves.

        Raises:
            UserError: a secret is missing, or KServe cannot read files where MLflow writes them.
        """
        self.check(run)
        view = self.ledger.read()
        if view is not None:
            own = (move.sequence for move in view.moves if move.run_id == run_id)
            self._enrol(view, min(own, default=view.last + 1) - 1)

    def check(self, run: Run) -> None:
        """See that what follows a move can work; changes nothing.

        Raises:
            UserError: a secret is missing, or KServe cannot read files where MLflow writes them.
        """
        check_hooks(self.registry.webhooks)
        if self.registry.kserve is not None:
            storage_uri(self.registry.kserve, run.info.artifact_uri)

    def listen(self, view: View) -> None:
        """Before a command moves anything: receivers that are new are told of what it does.

        What is written down, and not settled yet, may be what the command completes.
        """
        self._enrol(view, view.settled)

    def follow_up(self) -> list[str]:
        """Tell receivers what they have not been told, and let KServe serve the champion.

        What an earlier run or command left undone is done with it.

        Returns:
            Which receivers were not told, a line each.

        Raises:
            ApplyFailed: the cluster did not take the service.
            UserError: KServe cannot read the model's files where they are.
        """
        failures = self._announce()
        self._serve()
        return failures

    def announce_rejection(self, submission: Submission, run: Run) -> None:
        """Tell receivers that the gates turned a student down; a retry repeats the same event."""
        event = event_of_rejection(
            submission.decision,
            submission.decision_digest,
            submission.run_id,
            self.origin,
            datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            deployed(self.client.get_run(run.info.run_id)),
        )
        view = self.ledger.read()
        if view is not None:
            self._enrol(view, view.last)
        listening = [receiver for receiver in self._receivers if "rejected" in receiver.events]
        _failures([_tell(receiver, event) for receiver in listening])

    @property
    def _receivers(self) -> list[WebhookSpec | Pod]:
        pod = own_pod()
        return [*self.registry.webhooks, *([pod] if pod else [])]

    def _announce(self) -> list[str]:
        view = self.ledger.read()
        if view is None or not self._receivers:
            return []
        before = self._enrol(view, 0)
        sent = dispatch(self._receivers, view.done, before, self._event, _tell)
        self._keep(before, sent.cursors)
        return _failures(sent.deliveries)

    def _serve(self) -> None:
        """Write the manifest for the champion, and apply it where the recipe says so.

        The champion may move meanwhile, and whoever moved it may be quicker: so it is looked at
        again until it stays.
        """
        served, version = None, self._champion()
        while version is not None and version != served and self.registry.kserve is not None:
            found = self.client.get_model_version(self.registry.model, version)
            manifest = inference_service(self.registry.kserve, self._served(found))
            if self.registry.kserve.apply:
                from components.registration.hooks.kserve_apply import apply

                changed = apply(manifest)
                events.emit("served", version=version, changed=changed)
            if found.run_id and existing(lambda: self.client.get_run(found.run_id)):  # noqa: B023
                self.client.log_text(found.run_id, to_yaml(manifest), SERVICE_FILE)
            served, version = version, self._champion()

    def _champion(self) -> str | None:
        view = self.ledger.read()
        return view.aliases.get(self.registry.alias) if view else None

    def _served(self, version: ModelVersion) -> Served:
        name, number = version.name, str(version.version)
        return Served(
            model=name,
            alias=self.registry.alias,
            version=number,
            artifact_uri=self.client.get_model_version_download_uri(name, number),
            run_id=version.tags.get(tags.RUN_ID),
            model_digest=version.tags.get(tags.STUDENT_DIGEST),
        )

    def _event(self, entry: Entry) -> Event | None:
        return event_of_move(entry, self.origin, self._figures(entry.move.version))

    def _figures(self, version: str | None) -> dict[str, float]:
        """What was measured of a version; nothing where it or its run is gone."""
        model = self.registry.model
        found = version and existing(lambda: self.client.get_model_version(model, version))
        if not found or not found.run_id:
            return {}
        run = existing(lambda: self.client.get_run(found.run_id))
        return deployed(run) if run else {}

    def _enrol(self, view: View, last: int) -> dict[str, int]:
        before = self._cursors(view)
        after = enrol(self._receivers, before, last)
        self._keep(before, after)
        return after

    def _cursors(self, view: View) -> dict[str, int]:
        prefix = self._cursor("")
        return {
            key.removeprefix(prefix): int(value)
            for key, value in view.tags.items()
            if key.startswith(prefix) and value.isdecimal()
        }

    def _keep(self, before: dict[str, int], after: dict[str, int]) -> None:
        for key, sequence in after.items():
            if before.get(key) != sequence:
                self.ledger.set_tag(self._cursor(key), str(sequence))

    def _cursor(self, key: str) -> str:
        return f"{_CURSOR}.{self.registry.alias}.{key}"


@dataclass(frozen=True)
class Recorded:
    """What the recipes of the versions say of hooks."""

    registry: RegistrySpec | None
    """The section ``registry`` of the newest recipe that can be followed; null where there were
    recipes, and none can."""
    version: str | None = None
    """Whose recipe that is; null where no version has one."""
    problem: str | None = None
    """Why the newest recipe of all cannot be followed; null where it can."""


def recorded_registry(client: MlflowClient, registry: RegistrySpec, view: View) -> Recorded:
    """The section ``registry`` of the recipe that made the latest version.

    Where that recipe is gone, was edited since, or is of another program's version, the one before
    counts. The champion's own has no precedence: what serves, or listens, was set up by the latest.

    Args:
        client: of the store.
        registry: names model and alias.
        view: the history, which has the recipes' digests.
    """
    problems: list[str] = []
    for version, digest in itertools.islice(_recipes(view).items(), _MOST_RECIPES):
        try:
            recorded = _recipe_section(client, registry.model, version, digest)
        except UserError as error:
            problems.append(str(error))
            continue
        except Exception as error:
            if not is_outage(error):
                raise
            problems.append(f"the recipe of version {version} cannot be read: {explain(error)}")
            continue
        named = {"model": registry.model, "alias": registry.alias}
        return Recorded(recorded.model_copy(update=named), version, next(iter(problems), None))
    return Recorded(None, problem=problems[0]) if problems else Recorded(registry)


def _recipes(view: View) -> dict[str, str]:
    """The digest of each version's recipe, as it was judged last, the latest version first."""
    found: dict[str, str] = {}
    for move in reversed(view.moves):
        judged = move.action in {"register", "challenge"}
        if judged and move.version and move.recipe_digest:
            found.setdefault(move.version, move.recipe_digest)
    return found


def _recipe_section(client: MlflowClient, model: str, version: str, digest: str) -> RegistrySpec:
    """The section ``registry`` of the recipe that made a version.

    Raises:
        UserError: the recipe is gone, was edited since, or is of another program's version.
    """
    name = f"the recipe of version {version}"
    found = existing(lambda: client.get_model_version(model, version))
    logged = existing(lambda: client.list_artifacts(found.run_id)) if found else None
    if found is None or RECIPE not in {file.path for file in logged or []}:
        raise UserError(f"{name} is gone")
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(found.run_id, RECIPE, folder)).read_bytes()
    if sha256_bytes(text) != digest:
        raise UserError(f"{name} was edited since it was registered")
    try:
        return parse_section(RegistrySpec, yaml.safe_load(text)["registry"], "registry")
    except UserError as error:
        raise UserError(f"{name} is of another version of kubedistill ({error})") from error


def _tell(receiver: WebhookSpec | Pod, event: Event) -> Delivery:
    if isinstance(receiver, Pod):
        return write_event(event, receiver)
    return deliver(receiver, event)


def _failures(deliveries: Sequence[Delivery]) -> list[str]:
    for delivery in deliveries:
        events.emit(
            "told",
            url=delivery.url,
            id=delivery.event_id,
            delivered=delivery.delivered,
            attempts=delivery.attempts,
            reason=delivery.reason,
            passed_over=delivery.refused,
        )
    return [
        f"{delivery.url} was not told: {delivery.reason}; {_next(delivery)}"
        for delivery in deliveries
        if not delivery.delivered
    ]


def _next(delivery: Delivery) -> str:
    if delivery.refused:
        return f"it does not take the event {delivery.event_id}, which is passed over"
    return "the next move or run tries again"
