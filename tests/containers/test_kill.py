"""Containers that are stopped or killed in the middle of training, and runs that are."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.containers.distilling import Distiller

_LONG = ("--set", "teacher.training.steps=2000", "--set", "student.training.steps=[20000]")
"""Steps that take long enough to be met in the middle."""
_GRACE_S = 100


@pytest.fixture(scope="module")
def client(engine: Any) -> Iterator[Any]:
    client = docker.DockerClient(base_url=engine.host, timeout=120)
    yield client
    client.close()


@pytest.fixture
def distiller(engine: Any, images: Mapping[str, str], tmp_path: Path) -> Distiller:
    folder = tmp_path / "work"
    folder.mkdir()
    return Distiller(folder, engine.host, images)


def test_a_training_that_is_stopped_and_one_that_is_killed_go_on_to_the_same_student(
    distiller: Distiller, engine: Any, client: Any, tmp_path: Path
) -> None:
    with distiller.started(*_LONG) as process:
        reached = distiller.wait_for(process, _is_progress("train_teacher"))
        (container,) = distiller.containers(client)
        container.stop(timeout=_GRACE_S)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1, printed
    assert "train_teacher: its container was stopped from outside" in printed.splitlines()[-1]
    (end,) = [event for event in distiller.events if event["event"] == "terminated"]
    assert end["resumable"]

    with distiller.started(*_LONG) as process:
        resumed = distiller.wait_for(process, lambda e: e["event"] == "resumed")
        assert (resumed["step"], resumed["done"] >= reached["done"]) == ("train_teacher", True)
        distiller.wait_for(process, _is_progress("train_student"))
        kept = distiller.wait_for(process, _is_progress("train_student", above=4000))
        (container,) = distiller.containers(client)
        container.kill()
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1, printed
    assert "train_student: its container was stopped from outside" in printed.splitlines()[-1]
    assert not [event for event in distiller.events if event["event"] == "terminated"]
    # What does not depend on it is not begun either.
    assert not _is_begun(distiller, "train_hard_label")

    status, printed = distiller.run(*_LONG)
    assert status in (0, 3), printed
    (resumed,) = [event for event in distiller.events if event["event"] == "resumed"]
    assert resumed["step"] == "train_student"
    assert 0 < resumed["done"] < 20_000
    assert kept["done"] > 0

    undisturbed = Distiller(tmp_path / "undisturbed", engine.host)
    undisturbed.folder.mkdir()
    status, printed = undisturbed.run(*_LONG)
    assert status in (0, 3), printed
    assert distiller.outcome["bundles"] == undisturbed.outcome["bundles"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["interrupted", "terminated", "killed"],
)
def test_no_container_outlives_its_run(
    distiller: Distiller, client: Any, number: signal.Signals, status: int
) -> None:
    with distiller.started(*_LONG) as process:
        distiller.wait_for(process, _is_progress("train_teacher"))
        assert len(distiller.containers(client)) == 1
        os.kill(process.pid, number)
        printed, _ = process.communicate(timeout=120)
        if number != signal.SIGKILL:  # by then nobody waits
            assert distiller.containers(client) == []
    distiller.wait_until_gone(client)
    assert process.returncode == status
    assert "Traceback" not in printed
    assert not (distiller.folder / "out" / "summary.json").exists()


def _is_begun(distiller: Distiller, step: str) -> bool:
    return any(event.get("step") == step for event in distiller.events)


def _is_progress(step: str, above: int = 0) -> Any:
    def holds(event: dict[str, Any]) -> bool:
        return event["event"] == "progress" and event["step"] == step and event["done"] > above

    return holds
