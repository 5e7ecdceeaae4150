"""Connecting to MLflow, with errors that fit on a line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

from components.registration.outages import explain, is_outage
from components.registration.store import Store, store_at
from components.shared.errors import UserError
from components.shared.mlflow_settings import set_mlflow_defaults

T = TypeVar("T")

_SQLITE_MAGIC = b"SQLite format 3\0"


class TrackingError(Exception):
    """MLflow cannot be reached, is out of order, or refused a request."""


@contextmanager
def clear_errors(store: Store) -> Iterator[None]:
    """Turn failures of MLflow, its network and its disk into a short :class:`TrackingError`.

    The cause is not chained: it may hold the server's URI with its password.
    """
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        text = store.redact(explain(error))
        raise TrackingError(f"MLflow at {store.public_uri}: {text}") from None


def existing(ask: Callable[[], T]) -> T | None:
    """What MLflow answers, or null where there is no such thing."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def connect(store: Store) -> MlflowClient:
    """A client of ``store``, which also becomes MLflow's store in this process.

    MLflow's own code asks the process-wide store when a logged model is registered, so that a
    client of its own URI is not enough. A server is asked for something small, so that a wrong
    address, refused credentials or an outage come to light before any work.

    Raises:
        UserError: the file that the URI names is not an SQLite database, MLflow knows no URI of its
            kind, or the registry is somewhere else (``MLFLOW_REGISTRY_URI``).
        MlflowException: the server is out of reach, or not MLflow; see :func:`clear_errors`.
    """
    # Again: a process that was forked may have been given another environment since the import.
    set_mlflow_defaults()
    mlflow.set_tracking_uri(store.uri)
    _check_registry(store)
    if store.database is not None:
        with store.locked():
            if not store.database.exists():
                _create_database(store.database)
        _check_database(store.database)
    client = _client(store)
    if store.database is None:
        client.search_experiments(max_results=1)
    return client


def _client(store: Store) -> MlflowClient:
    try:
        return MlflowClient()
    except UnsupportedModelRegistryStoreURIException:
        raise UserError(
            f"tracking URI {store.public_uri}: MLflow knows no such kind of URI; give one such as "
            "http://mlflow:5000 or sqlite:///mlflow.db"
        ) from None


def _check_registry(store: Store) -> None:
    """See that aliases lie where the runs do: by that the lock is chosen that guards them."""
    uri = mlflow.get_registry_uri()
    if uri == store.uri:
        return
    registry = store_at(uri, "MLFLOW_REGISTRY_URI")
    if registry.public_uri.rstrip("/") != store.public_uri.rstrip("/"):
        raise UserError(
            f"MLFLOW_REGISTRY_URI is {registry.public_uri}, but the tracking URI is "
            f"{store.public_uri}, and moves are locked and recorded there; unset "
            "MLFLOW_REGISTRY_URI, or give that of the registry as the tracking URI"
        )


def _create_database(path: Path) -> None:
    """Make MLflow's tables in a temporary file and rename it.

    MLflow runs some fifty migrations over it; a process that is killed between two of them would
    leave a database on which no later run can continue.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    for leftover in (temporary, temporary.with_name(f"{temporary.name}-journal")):
        leftover.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{temporary}")
    temporary.replace(path)


def _check_database(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
    if start and start != _SQLITE_MAGIC:
        raise UserError(f"{path}: not an SQLite database")
