"""Connecting to MLflow, with errors that fit on a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import set_mlflow_defaults
from components.registration.store import Store
from components.shared.errors import UserError

_SQLITE_MAGIC = b"SQLite format 3\0"
_MESSAGE_LENGTH = 300


class TrackingError(Exception):
    """MLflow is unreachable, out of date, or refused a request."""


@contextmanager
def clear_errors(store: Store) -> Iterator[None]:
    """Turn failures of MLflow, its network and its disk into a short :class:`TrackingError`.

    The cause is not chained: it may hold the server's URI with its password.
    """
    try:
        yield
    except (MlflowException, OSError) as error:
        text = store.redact(" ".join(str(error).split()))
        if len(text) > _MESSAGE_LENGTH:
            text = f"{text[:_MESSAGE_LENGTH]}…"
        raise TrackingError(f"MLflow at {store.public_uri}: {text}") from None


def connect(store: Store) -> MlflowClient:
    """A client of ``store``, which also becomes MLflow's store in this process.

    MLflow's own code asks the process-wide store when a logged model is registered, so that a
    client of its own URI is not enough.

    Raises:
        UserError: the file that the URI names is not an SQLite database.
    """
    # Again: a process that was forked may have been given another environment since the import.
    set_mlflow_defaults()
    if store.database is not None:
        with store.locked():
            if not store.database.exists():
                _create_database(store.database)
        _check_database(store.database)
    mlflow.set_tracking_uri(store.uri)
    return MlflowClient()


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
