"""A write that the server sees late does not undo what the next holder of the lock does."""

import uuid
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from components.registration.locking.file_lock import FileLock
from components.registration.promotion.ledger import Ledger
from components.registration.promotion.session import exclusive
from components.registration.promotion.subject import Subject
from tests.servers.fault_proxy import Fault, fault_proxy
from tests.servers.mlflow_server import MlflowServer

SET_ALIAS = ("POST", "/api/2.0/mlflow/registered-models/alias")
DELAY_S = 5.0


def test_late_write_arrives_before_the_lock_is_given_back(
    mlflow_on_postgres: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """MLflow's client would send it again, and be done before the first one has arrived."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    with fault_proxy(mlflow_on_postgres.uri, DELAY_S) as proxy:
        ledger = Ledger(
            MlflowClient(proxy.uri, proxy.uri), f"late-{uuid.uuid4().hex[:8]}", "champion"
        )
        lock = FileLock(tmp_path / "lock", reach="machine")
        ledger.create_model()
        for name in "abc":
            ledger._client.create_model_version(ledger.model, f"s3://models/{name}")

        def promote(version: str) -> None:
            with exclusive(ledger, lock) as session:
                session.promote(Subject(version), "passed", forced=True)

        promote("1")
        proxy.record()
        promote("2")
        calls = [tuple(call) for call in proxy.calls]
        proxy.inject(Fault.SLOW, at=calls.index(SET_ALIAS) + 1)
        promote("3")
        promote("1")
        proxy.wait_until_idle()

        assert proxy.failed == [SET_ALIAS]
        view = ledger.read()
    assert view is not None
    view.verify()
    assert view.aliases["champion"] == "1"
    assert [move.champion_after for move in view.moves] == ["1", "2", "3", "1"]
