"""Servers that tests may kill, and connections that they may cut."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.storage.patience import PATIENCE_VARIABLE
from tests.servers.fault_proxy import FaultProxy, fault_proxy
from tests.servers.fixtures import enter
from tests.servers.s3 import S3, S3Service, s3_service


@pytest.fixture(scope="module")
def running_service() -> Iterator[S3Service]:
    with s3_service() as service:
        yield service


@pytest.fixture
def service(
    running_service: S3Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> S3Service:
    """What the test's environment names; the test may kill it, and starts it again."""
    enter(running_service.server, monkeypatch, tmp_path)
    monkeypatch.setenv(PATIENCE_VARIABLE, "120")
    return running_service


@pytest.fixture
def proxy(s3: S3, s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What the test's environment names, before the server."""
    with fault_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.uri)
        yield proxy
