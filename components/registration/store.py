"""Where MLflow keeps its records: the tracking URI, and the lock of a store on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from components.registration.locking.file_lock import FileLock
from components.shared import urls
from components.shared.errors import UserError
from components.shared.urls import A_TRACKING_URI

_TRACKING = "tracking URI"


@dataclass(frozen=True)
class Store:
    """An MLflow tracking server, or an SQLite database on this machine."""

    uri: str
    database: Path | None
    """The SQLite file, absolute; null for a server."""

    @property
    def public_uri(self) -> str:
        """The URI without user, password and query."""
        if self.database is not None:
            return self.uri
        parts = urlsplit(self.uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))

    @property
    def artifact_location(self) -> str | None:
        """Where new experiments keep their files: beside the database, or as the server says."""
        return None if self.database is None else (self.database.parent / "artifacts").as_uri()

    def redact(self, text: str) -> str:
        """``text`` without the credentials of this URI."""
        user_info, at, _ = urlsplit(self.uri).netloc.rpartition("@")
        return text.replace(self.uri, self.public_uri).replace(user_info + at, "") if at else text

    @property
    def missing(self) -> bool:
        """Whether it is a database that is not there, and looking must not make it."""
        return self.database is not None and not self.database.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine out; a server has no such lock.

        Raises:
            LockBusy: another process kept it for two minutes.
        """
        if self.database is None:
            yield
            return
        with FileLock(self.database.with_name(f"{self.database.name}.lock")).hold():
            yield


def locate(tracking_uri: str) -> Store:
    """The store that a tracking URI names; empty means ``MLFLOW_TRACKING_URI``.

    Raises:
        UserError: no URI is given, it is none or of a kind that MLflow no longer writes to, or
            credentials are in the parameter instead of the environment.
    """
    if "@" in urls.split(tracking_uri, f"the {_TRACKING}", A_TRACKING_URI).netloc:
        raise UserError(
            "tracking_uri holds a user or password, but parameters of a pipeline are kept and "
            "shown; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise UserError(
            "no MLflow tracking URI: pass tracking_uri or set MLFLOW_TRACKING_URI, for example to "
            "http://mlflow:5000 or sqlite:///mlflow.db"
        )
    return store_at(uri)


def store_at(uri: str, what: str = _TRACKING) -> Store:
    """The store that a URI names.

    Args:
        uri: of a server or an SQLite database, as MLflow takes it.
        what: names it in an error.

    Raises:
        UserError: it is no URI, or one of a kind that MLflow no longer writes to.
    """
    parts = urls.split(uri, f"the {what}", A_TRACKING_URI)
    if parts.scheme in ("", "file"):
        raise UserError(
            f"{what} {uri}: MLflow keeps no registry in plain folders any more; "
            f"use a database, for example sqlite:///{parts.path.rstrip('/')}/mlflow.db"
        )
    if parts.scheme != "sqlite":
        return Store(uri, None)
    # sqlite:///relative.db and sqlite:////absolute.db: the first slash belongs to the URI.
    name = parts.path[1:]
    if not name or name == ":memory:":
        raise UserError(f"{what} {uri}: should name a file, as in sqlite:///mlflow.db")
    database = Path(name).resolve()
    if database.is_dir():
        raise UserError(
            f"{what} {uri}: is a folder; name a file in it, as in sqlite:///{database}/mlflow.db"
        )
    return Store(f"sqlite:///{database}", database)


def locate_existing(tracking_uri: str) -> Store:
    """The store that a tracking URI names, to be read only.

    Raises:
        UserError: as :func:`locate` does, or its database is not there.
    """
    store = locate(tracking_uri)
    if store.missing:
        raise UserError(f"{store.database}: no such database; nothing has been registered there")
    return store
