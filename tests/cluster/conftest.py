"""One API server for the session, and a new Lease and record for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import ApiException, ApiextensionsV1Api

from tests.cluster.api_server import ApiServer
from tests.cluster.holders import Holders, wait_until
from tests.cluster.train_job_cluster import Cluster
from tests.cluster.train_job_crd import DEFINITION


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path_factory.mktemp("api-server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def holders(api_server: ApiServer, tmp_path: Path) -> Iterator[Holders]:
    """Processes that want one Lease; those that still run are killed at the end."""
    started = Holders(api_server, tmp_path)
    try:
        yield started
    finally:
        started.kill()
        api_server.start()  # where the test has killed it


@pytest.fixture(scope="module")
def trainer(api_server: ApiServer) -> Iterator[ApiServer]:
    """The API server, as long as it knows TrainJobs."""
    definitions = ApiextensionsV1Api(api_server.client())
    name = DEFINITION["metadata"]["name"]
    definitions.create_custom_resource_definition(DEFINITION)

    def has(kind: str) -> bool:
        conditions = definitions.read_custom_resource_definition(name).status.conditions or []
        return any(found.type == kind and found.status == "True" for found in conditions)

    wait_until(lambda: has("Established"), 90, "TrainJobs to be known")
    yield api_server
    definitions.delete_custom_resource_definition(name)

    def forgotten() -> bool:
        try:
            definitions.read_custom_resource_definition(name)
        except ApiException as error:
            return bool(error.status == 404)
        return False

    wait_until(forgotten, 90, "TrainJobs to be forgotten")


@pytest.fixture
def bare_run(api_server: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    """A namespace for runs, whose account has no rights yet."""
    made = Cluster(api_server, tmp_path)
    try:
        yield made
    finally:
        made.close()
        api_server.start()  # where the test has killed it
        made.forget_jobs()


@pytest.fixture
def cluster(trainer: ApiServer, bare_run: Cluster) -> Cluster:
    """A namespace in which steps can train in TrainJobs."""
    bare_run.grant()
    return bare_run
