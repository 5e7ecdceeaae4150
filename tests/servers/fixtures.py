"""Servers for the whole session, as a plugin of pytest; each is started when it is first used.

A server that is not on the machine is an error, which says what to install.
"""

import os
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mlflow_server import Administrator, Artifacts, MlflowServer, mlflow_server
from tests.servers.postgres import Postgres
from tests.servers.postgres import postgres as run_postgres
from tests.servers.s3 import S3
from tests.servers.s3 import s3 as run_s3


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster, in which each server and test makes a database of its own."""
    with run_postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A server with one bucket, which all share."""
    with run_s3() as server:
        yield server


@pytest.fixture
def s3_root(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A prefix of its own for a test, whose environment names the server; copies of objects are
    kept in a folder of the test."""
    enter(s3, monkeypatch, tmp_path)
    return f"{s3.uri}/{uuid.uuid4().hex[:12]}"


def enter(server: S3, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make boto3 find a server and nothing else, and keep copies of its objects in the folder."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nothing = str(folder / "no-aws-files")
    files = {"AWS_CONFIG_FILE": nothing, "AWS_SHARED_CREDENTIALS_FILE": nothing}
    cache = {"KUBEDISTILL_CACHE_DIR": str(folder / "cache")}
    for name, value in (server.environment | files | cache).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def mlflow_on_postgres(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Lets everybody in; artifacts go through it, into a folder."""
    folder = tmp_path_factory.mktemp("mlflow-on-postgres")
    artifacts = Artifacts((folder / "artifacts").as_uri())
    with mlflow_server(folder, postgres.create_database("mlflow"), artifacts) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_with_auth_and_s3(
    postgres: Postgres, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Asks for a password; clients put artifacts into S3 themselves, and through the server where
    an experiment's artifact location says so."""
    administrator = Administrator(
        name="admin",
        password=secrets.token_hex(16),
        database_uri=postgres.create_database("users"),
    )
    with mlflow_server(
        tmp_path_factory.mktemp("mlflow-with-auth-and-s3"),
        postgres.create_database("mlflow_with_auth"),
        Artifacts(f"{s3.uri}/through-the-server", f"{s3.uri}/direct", s3.environment),
        administrator,
    ) as server:
        yield server
