"""``mlflow server`` over HTTP."""

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import requests

from tests.servers import no_delay
from tests.servers.processes import HOST, environment, free_ports, running

_ROOT = Path(__file__).parents[2]
_WORKERS = 2
"""Processes that answer calls; each has threads, and takes a second of CPU to start."""
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Four more processes, for evaluations of language models.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass(frozen=True)
class Artifacts:
    """Where a server has artifacts kept, and who carries them there."""

    destination: str
    """Where the server puts what clients send to it: a folder, or ``s3://BUCKET/PREFIX``."""
    root: str | None = None
    """Where clients put the artifacts of new experiments themselves; null for the server's
    destination, through the server. An experiment that is made with an ``artifact_location`` of
    ``mlflow-artifacts:/NAME`` goes through the server in either case."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Credentials of the place, for whoever carries them there."""

    @property
    def arguments(self) -> list[str]:
        """For ``mlflow server``."""
        root = ["--default-artifact-root", self.root] if self.root else []
        return ["--artifacts-destination", self.destination, *root]


@dataclass(frozen=True)
class Administrator:
    """The one user of a server that asks for a password."""

    name: str
    password: str
    database_uri: str
    """Where the server keeps its users; not the database of its records."""


@dataclass(frozen=True)
class MlflowServer:
    """A server that is running."""

    uri: str
    folder: Path
    pid: int
    start_seconds: float
    administrator: Administrator | None
    artifacts: Artifacts

    @property
    def environment(self) -> dict[str, str]:
        """What a platform gives to a step that is to use this server."""
        found = {"MLFLOW_TRACKING_URI": self.uri}
        if self.administrator:
            found["MLFLOW_TRACKING_USERNAME"] = self.administrator.name
            found["MLFLOW_TRACKING_PASSWORD"] = self.administrator.password
        return found | dict(self.artifacts.environment if self.artifacts.root else {})


@contextmanager
def mlflow_server(
    folder: Path,
    backend_store_uri: str,
    artifacts: Artifacts,
    administrator: Administrator | None = None,
) -> Iterator[MlflowServer]:
    """Run a server for the block.

    Args:
        folder: an empty folder, for its log and configuration.
        backend_store_uri: SQLAlchemy URI of its database, where it makes its tables.
        artifacts: where artifacts are kept.
        administrator: makes the server ask for name and password.

    Raises:
        ServerFailed: it did not start.
    """
    port = free_ports(1)[0]
    uri = f"http://{HOST}:{port}"
    settings = {
        **artifacts.environment,
        **_SETTINGS,
        "MLFLOW_BACKEND_STORE_URI": backend_store_uri,
        "PYTHONPATH": str(_ROOT),
    }
    arguments = artifacts.arguments
    if administrator:
        arguments += ["--app-name", "basic-auth"]
        settings["MLFLOW_AUTH_CONFIG_PATH"] = str(_write_configuration(folder, administrator))
        settings["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secrets.token_hex(16)
    with running(
        [
            Path(sys.executable).with_name("mlflow"),
            "server",
            "--host",
            HOST,
            "--port",
            str(port),
            "--workers",
            str(_WORKERS),
            "--uvicorn-opts",
            f"--http {no_delay.__name__}:{no_delay.Protocol.__name__}",
            *arguments,
        ],
        folder,
        lambda: is_healthy(uri),
        env=environment(**settings),
    ) as server:
        yield MlflowServer(uri, folder, server.pid, server.seconds, administrator, artifacts)


def is_healthy(uri: str) -> bool:
    """Whether a server answers its health check."""
    try:
        return requests.get(f"{uri}/health", timeout=5).status_code == HTTPStatus.OK
    except requests.RequestException:
        return False


def _write_configuration(folder: Path, administrator: Administrator) -> Path:
    path = folder / "auth.ini"
    path.touch(mode=0o600)
    path.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {administrator.database_uri}\n"
        f"admin_username = {administrator.name}\n"
        f"admin_password = {administrator.password}\n"
        # Else every call pays for a slow hash of the password.
        "auth_cache_ttl_seconds = 600\n"
    )
    return path
