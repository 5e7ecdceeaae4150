"""The registration steps of a comparison on fresh rows, free of KFP."""

from pathlib import Path

from components.registration import shadow
from components.registration.client import clear_errors, connect
from components.registration.store import locate_existing
from components.shared import events
from components.shared.files import new_directory
from components.shared.results import ChampionRecord


def fetch_version(model: str, version: str, tracking_uri: str, folder: Path) -> ChampionRecord:
    """Fetch a registered version's deployable, and write down what is known of it.

    Args:
        model: name of the registered model.
        version: its number, or an alias.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        folder: folder to write.

    Raises:
        SystemExit: with status 2, where there is no such version, or its files cannot be used.
        TrackingError: MLflow cannot be reached.
    """
    with events.step("fetch_version"):
        store = locate_existing(tracking_uri)
        with clear_errors(store), new_directory(folder) as temporary:
            record = shadow.fetch_version(connect(store), model, version, temporary)
        events.emit("fetched", model=model, version=record.version, asked_for=version)
        return record


def attach_comparison(comparison: Path, page: Path, tracking_uri: str) -> str | None:
    """Keep a comparison with the challenger that it is about.

    Args:
        comparison: JSON, as compare_challenger wrote it.
        page: the same as HTML.
        tracking_uri: MLflow tracking URI; empty for the environment's.

    Returns:
        The folder in the challenger's MLflow run; null where that run is gone.

    Raises:
        SystemExit: with status 2, where the challenger is not what was compared.
        TrackingError: MLflow cannot be reached, or refused.
    """
    with events.step("attach_comparison"):
        store = locate_existing(tracking_uri)
        with clear_errors(store):
            attached = shadow.attach(connect(store), comparison, page)
        events.emit("attached", folder=attached)
        return attached
