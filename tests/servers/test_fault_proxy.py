"""Faults between a client and a server: each breaks the call that it should, and heals."""

from collections.abc import Iterator

import pytest
import requests
from mlflow.tracking import MlflowClient

from tests.servers.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.servers.mlflow_server import MlflowServer
from tests.servers.processes import free_ports

MODELS = "/api/2.0/mlflow/registered-models"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SEARCH = ("GET", f"{MODELS}/search")
CREATE = ("POST", f"{MODELS}/create")
DELAY_S = 60.0


@pytest.fixture(scope="module")
def running_proxy(mlflow_on_postgres: MlflowServer) -> Iterator[FaultProxy]:
    with fault_proxy(mlflow_on_postgres.uri, DELAY_S) as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: FaultProxy) -> FaultProxy:
    running_proxy.heal()
    running_proxy.record()
    return running_proxy


def search(proxy: FaultProxy, name: str) -> list[str]:
    query = {"filter": f"name = '{name}'"}
    answer = requests.get(f"{proxy.uri}{MODELS}/search", params=query, timeout=30)
    answer.raise_for_status()
    return [model["name"] for model in answer.json().get("registered_models", [])]


def create(proxy: FaultProxy, name: str, timeout_s: float = 30) -> None:
    answer = requests.post(f"{proxy.uri}{MODELS}/create", json={"name": name}, timeout=timeout_s)
    answer.raise_for_status()
    assert answer.json()["registered_model"]["name"] == name


def test_without_a_fault_calls_pass_and_are_recorded(proxy):
    create(proxy, "passed")

    assert search(proxy, "passed") == ["passed"]
    assert proxy.calls == [CREATE, SEARCH]
    assert proxy.failed == []


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.REFUSE, requests.ConnectionError, False),
        (Fault.ERROR, requests.HTTPError, False),
        (Fault.LOST, requests.HTTPError, True),
        (Fault.CUT, requests.exceptions.ChunkedEncodingError, True),
    ],
)
def test_fault_hits_the_call_that_was_named_and_no_other(proxy, fault, error, done):
    name = f"once-{fault}"
    proxy.inject(fault, at=2)

    assert search(proxy, name) == []
    with pytest.raises(error):
        create(proxy, name)

    assert search(proxy, name) == ([name] if done else [])
    assert proxy.failed == [CREATE]
    assert proxy.calls == [SEARCH, CREATE, SEARCH]


def test_slow_call_reaches_the_server_after_the_client_has_given_up(proxy):
    proxy.inject(Fault.SLOW, at=1)

    with pytest.raises(requests.ReadTimeout):
        create(proxy, "late", timeout_s=0.5)

    assert search(proxy, "late") == []
    proxy.release()
    proxy.wait_until_idle()
    assert search(proxy, "late") == ["late"]
    assert proxy.failed == [CREATE]


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.ERROR, Fault.LOST, Fault.CUT])
def test_lasting_fault_hits_all_later_calls_until_it_is_healed(proxy, fault):
    proxy.inject(fault, at=2, lasting=True)

    search(proxy, "none")
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            search(proxy, "none")
    proxy.heal()

    assert search(proxy, "none") == []
    assert (len(proxy.failed), len(proxy.calls)) == (2, 4)


def test_one_connection_carries_many_calls_with_any_body(proxy):
    content = bytes(range(256)) * 4096
    chunks = (content[start : start + 99_999] for start in range(0, len(content), 99_999))
    url = f"{proxy.uri}{ARTIFACTS}/proxy/file"

    with requests.Session() as session:
        for body, expected in ((content, content), (chunks, content), (b"", b"")):
            session.put(url, data=body, timeout=30).raise_for_status()
            assert session.get(url, timeout=30).content == expected


def test_mlflow_logs_and_lists_artifacts_through_the_proxy(proxy):
    client = MlflowClient(proxy.uri)
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "", "empty.txt")
    client.log_text(run_id, "content", "full.txt")

    assert {file.path for file in client.list_artifacts(run_id)} == {"empty.txt", "full.txt"}
    assert {path.startswith(ARTIFACTS) for method, path in proxy.calls if method == "PUT"} == {True}


def test_server_that_is_down_is_a_closed_connection():
    with (
        fault_proxy(f"http://127.0.0.1:{free_ports(1)[0]}") as proxy,
        pytest.raises(requests.ConnectionError),
    ):
        requests.get(f"{proxy.uri}/health", timeout=5)
