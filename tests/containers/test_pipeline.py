"""The whole pipeline in its images on a Docker engine, as a user who is not root."""

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest

from tests.containers.distilling import STRANGER, Distiller
from tests.containers.gate import gate
from tests.servers.mlflow_server import Artifacts, MlflowServer, mlflow_server
from tests.servers.s3 import S3

_LOOK = """
import json, pathlib, socket, sys
def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True
def writes(folder):
    try:
        (pathlib.Path(folder) / "written").touch()
    except OSError:
        return False
    return True
status = dict(
    line.split(":\\t", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines()
)
print(json.dumps({
    "uids": status["Uid"].split(),
    "capabilities": [status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
    "no_new_privileges": status["NoNewPrivs"],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "reached": [port for port in map(int, sys.argv[1:]) if reaches(port)],
    "written": [f for f in ("/", "/etc", "/usr", "/app", "/var/tmp", "/tmp") if writes(f)],
}))
"""
"""Run in the container of a step, beside it."""
NOBODY = "0" * 16


@pytest.fixture(scope="module")
def client(engine: Any) -> Iterator[Any]:
    client = docker.DockerClient(base_url=engine.host)
    yield client
    client.close()


@pytest.fixture(scope="module")
def in_processes(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run in processes of this machine comes to."""
    distiller = Distiller(tmp_path_factory.mktemp("processes"), engine.host)
    status, printed = distiller.run()
    assert status == 0, printed
    return distiller.outcome


@pytest.fixture
def distiller(engine: Any, images: Mapping[str, str], tmp_path: Path) -> Distiller:
    return Distiller(tmp_path, engine.host, images)


def test_containers_come_to_the_same_verdict_and_the_same_models(
    distiller: Distiller, in_processes: dict[str, Any], client: Any
) -> None:
    status, printed = distiller.run()

    assert status == 0, printed
    assert "in containers, network none" in printed
    assert distiller.outcome == in_processes
    assert distiller.containers(client) == []
    # Nothing is anybody else's: not what the engine made, nor what the steps wrote.
    owners = {path.lstat().st_uid for path in distiller.folder.rglob("*")}
    assert owners == {os.getuid() or STRANGER}


@pytest.fixture
def mlflow_in_s3(s3: S3, tmp_path: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    artifacts = Artifacts(f"{s3.uri}/through", f"{s3.uri}/containers", s3.environment)
    with mlflow_server(folder, f"sqlite:///{folder}/mlflow.db", artifacts) as server:
        yield server


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        yield Path(folder)


def test_containers_reach_s3_and_mlflow_and_nothing_else(
    distiller: Distiller,
    in_processes: dict[str, Any],
    images: Mapping[str, str],
    client: Any,
    s3: S3,
    mlflow_in_s3: MlflowServer,
    short_folder: Path,
    tmp_path: Path,
) -> None:
    distiller.folder = tmp_path / "work"
    distiller.folder.mkdir()
    distiller.environment = dict(mlflow_in_s3.environment)
    known = [urlsplit(uri).port or 0 for uri in (s3.endpoint, mlflow_in_s3.uri)]
    with (
        gate(client, images["registration"], known, short_folder) as network,
        socket.create_server(("", 0)) as other,
        distiller.started("--network", network, "--set", f"storage={s3.uri}/kept") as process,
    ):
        other_port = other.getsockname()[1]
        distiller.wait_for(
            process, lambda e: e["event"] == "started" and e["step"] == "train_teacher"
        )
        script = ["python3", "-c", _LOOK, *map(str, (*known, other_port))]
        seen = json.loads(_printed_in_a_step(distiller, client, process, script))
        printed, _ = process.communicate(timeout=900)

    assert process.returncode == 0, printed
    user = str(os.getuid() or STRANGER)
    assert seen == {
        "uids": [user] * 4,
        "capabilities": [NOBODY] * 4,
        "no_new_privileges": "1",
        "interfaces": ["lo"],
        "reached": known,
        "written": ["/tmp"],  # noqa: S108
    }
    assert distiller.outcome == in_processes
    assert any(key.startswith("kept/soft-labels/") for key in s3.keys("kept/"))
    assert s3.keys("containers/"), "MLflow's artifacts"
    assert not (distiller.folder / ".kubedistill").exists()
    assert s3.secret_key not in distiller.log + printed


def _printed_in_a_step(
    distiller: Distiller, client: Any, process: "subprocess.Popen[str]", script: list[str]
) -> bytes:
    """What a program prints in the first container that does not end before it."""
    output = b"none was met"
    while process.poll() is None:
        for container in distiller.containers(client):
            with suppress(docker.errors.APIError):  # it has ended already
                code, output = container.exec_run(script)
                if code == 0:
                    return output
    raise AssertionError(f"it ran in no container of the run: {output!r}")


def test_an_image_that_is_nowhere_is_said_before_the_first_step(distiller: Distiller) -> None:
    distiller.images = {**(distiller.images or {}), "evaluation": "nowhere.invalid/evaluation:1"}
    status, printed = distiller.run()
    assert status == 2
    assert "nowhere.invalid/evaluation:1" in printed.splitlines()[-1]
    assert "--images" in printed.splitlines()[-1]
    assert distiller.events == []


def test_an_image_of_another_step_is_a_failure_of_the_step(
    distiller: Distiller, client: Any
) -> None:
    images = dict(distiller.images or {})
    distiller.images = {**images, "data-validation": images["registration"]}
    status, printed = distiller.run()
    assert status == 1
    said = printed.splitlines()[-1]
    assert f"check_recipe: it ended with status 1 in {images['registration']}" in said
    assert "Traceback" not in printed
    distiller.wait_until_gone(client)


def test_a_container_that_ends_well_without_running_its_step_is_a_failure(
    distiller: Distiller, client: Any, tmp_path: Path
) -> None:
    idle = tmp_path / "idle"
    idle.mkdir()
    images = dict(distiller.images or {})
    python = "RUN for p in $(which -a python3); do rm -f $p && ln -s /bin/true $p; done"
    (idle / "Dockerfile").write_text(f"FROM {images['data-validation']}\nUSER 0\n{python}\n")
    built, _ = client.images.build(path=str(idle), tag="kubedistill-test/idle:1")
    try:
        distiller.images = {**images, "data-validation": "kubedistill-test/idle:1"}
        status, printed = distiller.run()
    finally:
        client.images.remove(built.id, force=True)
    assert status == 1
    assert "check_recipe: its container ended without having run it" in printed
    assert [event["event"] for event in distiller.events] == []


def test_an_engine_that_is_down_is_said_in_one_line(distiller: Distiller) -> None:
    distiller.groups = (STRANGER,)
    distiller.host = f"unix://{distiller.folder}/docker.sock"
    status, printed = distiller.run()
    assert status == 1
    assert printed.splitlines()[-1].startswith(
        f"error: no Docker engine answers at {distiller.host}"
    )
    assert "Traceback" not in printed


@pytest.mark.skipif(os.getuid() != 0, reason="only root can take a group away")
def test_a_user_without_rights_on_the_socket_is_told_which_group(distiller: Distiller) -> None:
    distiller.groups = (STRANGER,)
    status, printed = distiller.run()
    assert status == 2
    assert "you may not use the Docker engine" in printed.splitlines()[-1]


def test_an_unknown_network_is_refused(distiller: Distiller) -> None:
    status, printed = distiller.run("--network", "no-such-network")
    assert status == 2
    assert "--network no-such-network" in printed.splitlines()[-1]
