"""Whether a new run is due: the data changed since the champion learned from them, or it is old."""

import contextlib
import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import Recipe, RegistrySpec

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LATEST = 200
"""Runs that are looked at."""


@dataclass(frozen=True)
class Champion:
    """The version that serving reads."""

    version: str
    dataset_digest: str | None
    """Of the data that it was trained on; null for a version of another tool."""
    since: datetime
    """When it was promoted; when it was registered, where the history does not know."""


@dataclass(frozen=True)
class EarlierRun:
    """A run whose student was judged, whatever came of it."""

    run_id: str
    dataset_digest: str | None
    verdict: str
    at: datetime


@dataclass(frozen=True)
class Past:
    """What is known of a registered model."""

    champion: Champion | None
    runs: Sequence[EarlierRun]
    """The latest first."""


@dataclass(frozen=True)
class Due:
    """Whether to submit, and why."""

    submit: bool
    reason: str


def age_of(text: str) -> timedelta:
    """``30d``, ``12h``, ``45m`` or ``2w`` as a time.

    Raises:
        UserError: it is something else.
    """
    match = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if match is None or int(match[1]) == 0:
        raise UserError(f"--if-stale {text}: should be a time such as 30d, 12h, 45m or 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def due(past: Past, digest: str | None, age: timedelta | None, now: datetime) -> Due:
    """Whether a run is due.

    A student that was rejected counts: the same data would give the same student again, and one
    that is tried at every tick costs as much as one that is promoted.

    Args:
        past: of the registered model.
        digest: of the data as they are now; null where they are not asked about.
        age: of a champion that is old; null where its age is not asked about.
        now: the time.
    """
    answers = []
    if digest is not None:
        answers.append(_by_data(past, digest))
    if age is not None:
        answers.append(_by_age(past, age, now))
    for answer in answers:
        if answer.submit:
            return answer
    return Due(False, ", and ".join(answer.reason for answer in answers))


def _by_data(past: Past, digest: str) -> Due:
    champion = past.champion
    if champion and champion.dataset_digest == digest:
        return Due(False, f"version {champion.version} was trained on these data ({digest[:12]})")
    same = next((run for run in past.runs if run.dataset_digest == digest), None)
    if same is not None:
        word = "rejected" if same.verdict == "reject" else "passed"
        return Due(False, f"the student of these data ({digest[:12]}) {word} in run {same.run_id}")
    if champion is None:
        return Due(True, "there is no champion")
    return Due(
        True,
        f"the data ({digest[:12]}) are not those of version {champion.version} "
        f"({(champion.dataset_digest or 'unknown')[:12]})",
    )


def _by_age(past: Past, age: timedelta, now: datetime) -> Due:
    champion, latest = past.champion, next(iter(past.runs), None)
    if champion and now - champion.since < age:
        return Due(
            False,
            f"version {champion.version} is {_in_words(now - champion.since)} old, "
            f"under {_in_words(age)}",
        )
    if latest is not None and now - latest.at < age:
        return Due(False, f"run {latest.run_id} was judged {_in_words(now - latest.at)} ago")
    if champion is None:
        return Due(True, "there is no champion")
    return Due(True, f"version {champion.version} is {_in_words(now - champion.since)} old")


def _in_words(time: timedelta) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if time.total_seconds() >= 2 * length:
            return f"{int(time.total_seconds() // length)} {unit}"
    return "1 minute" if time.total_seconds() >= 60 else "less than a minute"


def read_past(registry: RegistrySpec, tracking_uri: str) -> Past:
    """What MLflow knows of a registered model; changes nothing.

    Args:
        registry: names model, alias and experiment.
        tracking_uri: MLflow as this process reaches it; empty for the environment's.

    Raises:
        UserError: no MLflow is named.
        StepFailed: it cannot be reached.
    """
    from components.registration.client import TrackingError, clear_errors, connect
    from components.registration.promotion.ledger import Ledger
    from components.registration.store import locate_existing

    store = locate_existing(tracking_uri)
    try:
        with clear_errors(store):
            client = connect(store)
            view = Ledger(client, registry.model, registry.alias).read()
            version = view.aliases.get(registry.alias) if view else None
            champion = _champion(client, registry, view, version) if version else None
            return Past(champion, _runs(client, registry))
    except TrackingError as error:
        raise StepFailed(str(error)) from None


def _champion(client: Any, registry: RegistrySpec, view: Any, version: str) -> Champion:
    from components.registration import tags

    found = client.get_model_version(registry.model, version)
    registered = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return Champion(
        version=version,
        dataset_digest=found.tags.get(tags.DATASET_DIGEST),
        since=view.promoted_at(version) or registered,
    )


def _runs(client: Any, registry: RegistrySpec) -> list[EarlierRun]:
    from components.registration import tags

    experiment = client.get_experiment_by_name(registry.experiment)
    if experiment is None:
        return []
    found = client.search_runs(
        [experiment.experiment_id],
        f"params.`registry.model` = '{registry.model}'",
        order_by=["attributes.start_time DESC"],
        max_results=_LATEST,
    )
    return [
        EarlierRun(
            run_id=run.data.tags.get(tags.RUN_ID, run.info.run_id),
            dataset_digest=run.data.tags.get(tags.DATASET_DIGEST),
            verdict=run.data.tags[tags.VERDICT],
            at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        )
        for run in found
        if tags.VERDICT in run.data.tags
    ]


def data_digest(recipe: Recipe) -> str:
    """Digest of the recipe's data as they are now, as a run's first steps find it.

    Every byte is read: a listing of names, sizes and times tells data that are the same from data
    that may not be, but the digest that champions carry is of content. Where rows may be
    quarantined it is the one of the rows that are left, which takes the whole validation.

    Raises:
        UserError: the data cannot be read, or fail their validation.
        StorageFailed: S3 is out of reach.
    """
    from components.data_validation.checked import checked_data
    from components.shared.dataset import Dataset

    with (
        tempfile.TemporaryDirectory(prefix="kubedistill-") as temporary,
        contextlib.redirect_stdout(io.StringIO()),  # the events are for a step's log
    ):
        folder = checked_data(recipe.data, recipe.validation, Path(temporary))
        return Dataset.open(folder).manifest.digest
