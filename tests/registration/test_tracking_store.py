"""Finding MLflow's store, its first use, and its lock."""

import multiprocessing
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import mlflow
import pytest

from components.registration import store as store_module
from components.registration.client import TrackingError, clear_errors, connect
from components.registration.locking.file_lock import FileLock
from components.registration.locking.lock import LockBusy
from components.registration.store import Store, locate
from components.shared.errors import UserError


def test_relative_sqlite_uri_is_bound_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    store = locate("sqlite:///registry/mlflow.db")

    assert store.database == tmp_path / "registry" / "mlflow.db"
    assert store.uri == f"sqlite:///{tmp_path}/registry/mlflow.db"
    assert store.public_uri == store.uri
    assert store.artifact_location == (tmp_path / "registry" / "artifacts").as_uri()


def test_empty_uri_means_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")

    assert locate("") == Store("http://mlflow:5000", None)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "set MLFLOW_TRACKING_URI"),
        ("/data/mlruns", "sqlite:////data/mlruns/mlflow.db"),
        ("file:///data/mlruns", "sqlite:////data/mlruns/mlflow.db"),
        ("sqlite://", "should name a file"),
        ("sqlite:///:memory:", "should name a file"),
        ("sqlite:////tmp", "is a folder; name a file in it"),
        ("http://[bad", "is not a URI"),
    ],
)
def test_uri_that_cannot_hold_a_registry_is_refused(uri, message):
    with pytest.raises(UserError, match=message):
        locate(uri)


def test_public_uri_has_no_credentials():
    store = Store("https://me:secret@mlflow:5000/path?token=t", None)

    assert store.public_uri == "https://mlflow:5000/path"
    assert store.redact("GET https://me:secret@mlflow:5000/api") == "GET https://mlflow:5000/api"
    assert store.artifact_location is None


def test_file_that_is_no_database_is_refused_and_kept(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"my thesis, only copy")

    with pytest.raises(UserError, match="not an SQLite database"):
        connect(locate(f"sqlite:///{tmp_path}/mlflow.db"))

    assert (tmp_path / "mlflow.db").read_bytes() == b"my thesis, only copy"


def test_kind_of_uri_that_mlflow_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://me:secret@x")

    with pytest.raises(UserError, match="foo://x: MLflow knows no such kind of URI") as caught:
        connect(locate(""))

    assert "secret" not in str(caught.value)


def test_registry_that_is_somewhere_else_is_refused_before_a_database_is_made(
    tmp_path, monkeypatch
):
    """The lock beside the database would keep nobody out of the registry."""
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://me:secret@mlflow:5000")

    with pytest.raises(UserError, match="MLFLOW_REGISTRY_URI is http://mlflow:5000") as caught:
        connect(locate(f"sqlite:///{tmp_path}/mlflow.db"))

    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_registry_that_this_process_was_pointed_at_is_refused_too(tracking, monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "")  # MLflow sets both, so that they are put back
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
    mlflow.set_registry_uri(f"sqlite:///{tracking.folder}/other.db")

    with pytest.raises(UserError, match="unset MLFLOW_REGISTRY_URI"):
        connect(locate(tracking.uri))


def test_registry_that_is_the_same_database_by_another_name_is_taken(tracking, monkeypatch):
    monkeypatch.chdir(tracking.folder)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///mlflow.db")

    assert connect(locate(tracking.uri)).search_registered_models() == []


def test_database_of_another_mlflow_is_a_short_error(tracking):
    with sqlite3.connect(tracking.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000000000'")
    store = locate(tracking.uri)

    with pytest.raises(TrackingError, match="mlflow db upgrade"), clear_errors(store):
        connect(store)


def test_first_use_that_was_killed_before_leaves_no_trace(tmp_path):
    """The tables are made in a temporary file; whatever is left of it is thrown away."""
    (tmp_path / ".mlflow.db.tmp").write_bytes(b"half a database")

    client = connect(locate(f"sqlite:///{tmp_path}/mlflow.db"))

    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


def test_lock_keeps_another_process_out(tmp_path):
    store = locate(f"sqlite:///{tmp_path}/mlflow.db")
    context = multiprocessing.get_context("spawn")
    started, entered = context.Event(), context.Event()
    with store.locked():
        other = context.Process(target=_enter, args=(store, started, entered))
        other.start()
        assert started.wait(300)
        assert not entered.wait(1.5)
    assert entered.wait(300)
    other.join()


def test_lock_that_is_never_released_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "FileLock", partial(FileLock, patience_s=0.2))
    store = locate(f"sqlite:///{tmp_path}/mlflow.db")

    with store.locked(), pytest.raises(LockBusy, match="another run"), store.locked():
        pass


def test_mlflow_reports_to_nobody_and_prints_nothing(tmp_path):
    code = (
        "from components.registration.client import connect\n"
        "from components.registration.store import locate\n"
        "connect(locate('sqlite:///mlflow.db'))\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "assert get_telemetry_client() is None\n"
    )
    root = Path(__file__).parents[2]

    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def _enter(store, started, entered) -> None:
    started.set()
    with store.locked():
        entered.set()
        time.sleep(0.01)
