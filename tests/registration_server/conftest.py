"""Each kind of server, as a step's environment names it."""

import os
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registration_server.platform import Platform
from tests.servers.mlflow_server import MlflowServer

_OF_A_PLATFORM = re.compile("MLFLOW_(TRACKING|RUN|EXPERIMENT|S3)_|AWS_")
_OF_S3 = re.compile("MLFLOW_S3_|AWS_")


@pytest.fixture(scope="session", autouse=True)
def _known_not_to_be_databricks() -> Iterator[None]:
    """MLflow looks for these packages at each of many thousand calls; this ends the search."""
    with pytest.MonkeyPatch.context() as patch:
        for package in ("dbruntime", "pyspark", "IPython"):
            patch.setitem(sys.modules, package, None)
        yield


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Has not been told of a server."""
    _unset(monkeypatch, _OF_A_PLATFORM)
    return Platform(tmp_path / "runs", f"test-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def plain(
    nowhere: Platform, mlflow_on_postgres: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """PostgreSQL, no password, artifacts through the server into a folder."""
    _set(monkeypatch, mlflow_on_postgres.environment)
    return nowhere


@pytest.fixture
def secured(
    nowhere: Platform, mlflow_with_auth_and_s3: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """PostgreSQL, a password, artifacts put into S3 by the step itself."""
    _set(monkeypatch, mlflow_with_auth_and_s3.environment)
    return nowhere


@pytest.fixture
def proxied(secured: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """PostgreSQL, a password, artifacts through the server into S3, of which the step knows
    nothing; the platform has made the experiment."""
    _unset(monkeypatch, _OF_S3)
    secured.artifact_location = f"mlflow-artifacts:/{secured.experiment}"
    experiment = secured.create_experiment(secured.experiment)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    return secured


@pytest.fixture(params=["plain", "secured", "proxied"])
def platform(request: pytest.FixtureRequest) -> Platform:
    """Each of them in turn."""
    found: Platform = request.getfixturevalue(request.param)
    return found


def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def _unset(monkeypatch: pytest.MonkeyPatch, names: re.Pattern[str]) -> None:
    for name in filter(names.match, list(os.environ)):
        monkeypatch.delenv(name)
