"""The whole pipeline with its data, soft labels, checkpoints and MLflow artifacts in S3."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.data_validation.builtin import write_builtin
from components.shared.events import parse_event
from components.shared.storage import Storage, join, open_storage
from tests.command_line import DIGITS, SHORT
from tests.servers.mlflow_server import MlflowServer
from tests.servers.s3 import S3, S3Service

LONG = "teacher.training.steps=600"
"""A training that takes long enough to be met in the middle."""


class Cluster:
    """A folder to run in, where everything that is kept is kept in S3."""

    def __init__(self, folder: Path, root: str, environment: dict[str, str]) -> None:
        self.folder, self.root, self.environment = folder, root, environment
        self.model = f"digits-{token_hex(4)}"
        """A name of its own: the registry is that of all tests, whose students are judged apart."""

    @property
    def storage(self) -> Storage:
        return open_storage(join(self.root, "kept"))

    def start(self, *overrides: str, data: str = "data") -> "subprocess.Popen[str]":
        settings = (
            *SHORT,
            f"data.uri={join(self.root, data)}",
            f"storage={join(self.root, 'kept')}",
            f"registry.model={self.model}",
            *overrides,
        )
        options = [part for setting in settings for part in ("--set", setting)]
        program = Path(sys.executable).with_name("kubedistill")
        return subprocess.Popen(
            [program, "run", DIGITS, "--output", "out", *options],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *overrides: str, data: str = "data") -> tuple[int, str]:
        """Exit status, and what was printed."""
        process = self.start(*overrides, data=data)
        printed, _ = process.communicate(timeout=600)
        return process.returncode, printed

    @property
    def has_checkpoints(self) -> bool:
        return any(self.storage.list("checkpoints/"))

    @property
    def summary(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "out" / "summary.json").read_text())
        return value

    @property
    def bundles(self) -> dict[str, str]:
        """Digest of each model that was trained."""
        found = self.summary["digests"]["bundles"]
        return {arm: digest for arm, digest in found.items() if arm != "champion"}

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the steps of the last run said of this kind."""
        lines = (self.folder / "out" / "run.log").read_text().splitlines()
        found = filter(None, map(parse_event, lines))
        return [event for event in found if event["event"] == name]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in several files."""
    folder = tmp_path_factory.mktemp("shards")
    write_builtin("builtin://digits", folder / "whole")
    table = pq.read_table(folder / "whole")
    (folder / "data").mkdir()
    for number, start in enumerate(range(0, len(table), 500)):
        pq.write_table(table.slice(start, 500), folder / "data" / f"part-{number}.parquet")
    return folder / "data"


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the bundles of a run on folders, without S3 and without faults."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = Cluster(folder, str(shards.parent), {**os.environ, "MLFLOW_TRACKING_URI": ""})
    status, printed = run.run(LONG)
    assert status == 0, printed
    return run.bundles


def put(shards: Path, root: str, folder: Path, environment: dict[str, str]) -> Cluster:
    """A cluster with the data in S3."""
    data = open_storage(join(root, "data"))
    for shard in sorted(shards.iterdir()):
        data.upload(shard.name, shard)
    settings = {
        **os.environ,
        **environment,
        "KUBEDISTILL_CACHE_DIR": str(folder / "cache"),
        "KUBEDISTILL_CHECKPOINT_SECONDS": "0.2",
    }
    (folder / "work").mkdir()
    return Cluster(folder / "work", root, settings)


@pytest.fixture
def cluster(
    s3: S3,
    s3_root: str,
    mlflow_with_auth_and_s3: MlflowServer,
    shards: Path,
    tmp_path: Path,
) -> Cluster:
    return put(shards, s3_root, tmp_path, s3.environment | mlflow_with_auth_and_s3.environment)


def wait_for_checkpoint(cluster: Cluster, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if cluster.has_checkpoints:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint was written")


def test_everything_is_in_s3_and_labels_are_paid_for_once(cluster: Cluster, s3: S3) -> None:
    status, printed = cluster.run()

    assert status == 0, printed
    kept = [entry.name for entry in cluster.storage.list()]
    assert any(name.startswith("soft-labels/") for name in kept)
    assert not any(name.startswith("checkpoints/") for name in kept)
    assert s3.keys("direct/"), "MLflow's artifacts"
    first = cluster.summary
    assert [event["rows"] for event in cluster.events("labelled")] == [1797]

    status, printed = cluster.run("distillation.temperature=1")
    assert status in (0, 3), printed
    assert (
        cluster.summary["digests"]["bundles"]["teacher"] == first["digests"]["bundles"]["teacher"]
    )
    assert [event["rows"] for event in cluster.events("labelled")] == [0]


def test_a_killed_run_goes_on_where_it_was(cluster: Cluster, undisturbed: dict[str, str]) -> None:
    for _ in range(3):
        process = cluster.start(LONG)
        wait_for_checkpoint(cluster, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        if cluster.has_checkpoints:  # else the training ended before the kill
            break

    status, printed = cluster.run(LONG)

    assert status == 0, printed
    assert cluster.events("resumed")
    assert cluster.bundles == undisturbed


def test_a_server_that_is_killed_during_training_costs_nothing_but_time(
    service: S3Service, shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    root = f"{service.server.uri}/training"
    environment = {**service.server.environment, "MLFLOW_TRACKING_URI": ""}
    cluster = put(shards, root, tmp_path, environment)
    process = cluster.start(LONG)
    wait_for_checkpoint(cluster, process)
    service.kill()
    time.sleep(3)
    service.start()
    printed, _ = process.communicate(timeout=600)

    assert process.returncode == 0, printed
    assert cluster.bundles == undisturbed


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "credentials"),
        ("AWS_ACCESS_KEY_ID", "nobody", "credentials"),
    ],
)
def test_wrong_credentials_are_said_at_once(
    cluster: Cluster, variable: str, value: str, said: str
) -> None:
    cluster.environment[variable] = value
    status, printed = cluster.run()
    assert status == 2
    assert said in printed
    assert "Traceback" not in printed
    assert cluster.events("storage_outage") == [], "it was asked again"


def test_a_bucket_that_does_not_exist_is_said_at_once(cluster: Cluster) -> None:
    status, printed = cluster.run("data.uri=s3://no-such-bucket/data")
    assert status == 2
    assert "no-such-bucket" in printed
    assert cluster.events("storage_outage") == [], "it was asked again"


def test_a_bucket_that_turns_read_only_is_said_where_it_is_written_to(
    cluster: Cluster, s3: S3
) -> None:
    process = cluster.start()
    try:
        wait_for_checkpoint(cluster, process)
        s3.set_read_only(True)
        printed, _ = process.communicate(timeout=600)
    finally:
        s3.set_read_only(False)
    assert process.returncode == 2, printed
    assert "AccessDenied" in printed
    assert join(cluster.root, "kept") in printed
    assert "Traceback" not in printed
