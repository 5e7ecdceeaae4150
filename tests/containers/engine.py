"""A Docker engine: one that answers here, or one of the tests' own, which keeps what it built."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from tests.servers.processes import running

KEPT = Path("~/.cache/kubedistill/docker").expanduser()
"""Layers and images of the tests' own engine, so that a second session builds little."""
_USUAL = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    host: str
    """As ``DOCKER_HOST`` has it."""


def answers(host: str) -> bool:
    """Whether an engine does."""
    try:
        client = docker.DockerClient(base_url=host, timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


@contextmanager
def engine_of_this_machine() -> Iterator[Engine]:
    """The engine that is set, or that runs here, or one that is started for the block."""
    host = os.environ.get("DOCKER_HOST", _USUAL)
    if answers(host):
        yield Engine(host)
        return
    program = shutil.which("dockerd")
    if program is None or os.getuid() != 0:
        pytest.fail("no Docker engine answers, and none can be started: see .ci/docker, as root")
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="docker-") as name:
        folder = Path(name)
        host = f"unix://{folder}/docker.sock"
        command = [
            *(program, "--host", host, "--data-root", KEPT, "--exec-root", folder / "exec"),
            *("--pidfile", folder / "pid"),
        ]
        try:
            with running(command, folder, lambda: answers(host)):
                yield Engine(host)
        finally:
            # The one mount that an engine leaves; without it the folder cannot be removed.
            namespace = folder / "exec" / "netns" / "default"
            subprocess.run(["/bin/umount", namespace], stderr=subprocess.DEVNULL, check=False)
