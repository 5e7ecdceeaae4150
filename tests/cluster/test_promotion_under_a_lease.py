"""Promotions whose lock is a Lease of a real API server: one at a time, and none from beyond."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from components.registration.client import connect
from components.registration.history import read_history
from components.registration.locking.names import lease_name
from components.registration.store import locate
from components.shared.recipe import RegistrySpec
from tests.cluster.api_server import ApiServer
from tests.cluster.holders import NAMESPACE, ROOT
from tests.cluster.kubeconfig import write_kubeconfig
from tests.cluster.promoter import MODEL, OVERTAKEN, REFUSED
from tests.servers.processes import environment

SPEC = RegistrySpec(model=MODEL)


class Cluster:
    """A registry whose writers meet at a Lease."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.server = server
        self.environment = environment(
            MLFLOW_TRACKING_URI=self.uri,
            KUBECONFIG=str(write_kubeconfig(folder / "kubeconfig", server)),
        )
        self.client = connect(locate(self.uri))
        self.client.create_registered_model(MODEL)
        for number in range(8):
            self.client.create_model_version(MODEL, f"file:///{number}")
        self._make_lease()

    def start(
        self,
        version: str,
        over: str = "",
        stop_before: str = "",
        *,
        lock: str = f"lease:{NAMESPACE}",
        lease_s: int = 30,
        stderr: int | None = None,
    ) -> subprocess.Popen[str]:
        arguments = [version, over, stop_before, str(lease_s)]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.promoter", *arguments],
            cwd=ROOT,
            env=self.environment | {"KUBEDISTILL_LOCK": lock},
            stderr=stderr,
            text=True,
        )

    @property
    def aliases(self) -> dict[str, str]:
        found = self.client.get_registered_model(MODEL).aliases
        return {alias: str(version) for alias, version in found.items()}

    def _make_lease(self) -> None:
        """One that was held before, so that nobody waits for holders of an earlier one."""
        from kubernetes.client import CoordinationV1Api

        leases, name = CoordinationV1Api(self.server.client()), lease_name(MODEL, "champion")
        existing = leases.list_namespaced_lease(
            NAMESPACE, field_selector=f"metadata.name={name}"
        ).items
        if not existing:
            body = {"metadata": {"name": name}, "spec": {"leaseTransitions": 1}}
            leases.create_namespaced_lease(NAMESPACE, body)


@pytest.fixture
def cluster(api_server: ApiServer, tmp_path: Path) -> Cluster:
    return Cluster(api_server, tmp_path)


def test_of_eight_at_once_one_is_promoted_and_its_record_names_the_lease(cluster: Cluster) -> None:
    processes = [cluster.start(str(version)) for version in range(1, 9)]

    statuses = Counter(process.wait(180) for process in processes)

    assert statuses == {0: 1, OVERTAKEN: 7}
    history = read_history(SPEC, cluster.uri)
    assert history.fault is None
    (promoted,) = [move for move in history.moves if move.action == "promote"]
    assert cluster.aliases == {"champion": promoted.version}
    assert promoted.lock.startswith(f"lease {NAMESPACE}/{lease_name(MODEL, 'champion')}, term ")
    terms = [int(move.lock.split("term ")[1].split()[0]) for move in history.moves]
    assert terms == sorted(terms)


def test_holder_that_slept_through_its_lease_never_moves_the_alias(cluster: Cluster) -> None:
    """Stopped when its move was written down and the lock checked: the alias is not its any more.

    Whoever comes next completes that move, since it was decided, and is then out of date itself.
    """
    assert cluster.start("1").wait(120) == 0
    # Short, since this waits for its end.
    sleeper = cluster.start("2", "1", "set_registered_model_alias", lease_s=9)
    _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert cluster.aliases == {"champion": "1"}

    assert cluster.start("3", "1").wait(120) == OVERTAKEN
    assert cluster.aliases == {"champion": "2", "former-champion": "1"}
    assert cluster.start("4", "2").wait(120) == 0
    sleeper.send_signal(signal.SIGCONT)

    assert sleeper.wait(60) == -signal.SIGKILL
    assert cluster.aliases == {"champion": "4", "former-champion": "2"}
    history = read_history(SPEC, cluster.uri)
    assert history.fault is None
    champions = [move.champion_after for move in history.moves if move.action == "promote"]
    assert champions == ["1", "2", "4"]


def test_writer_with_the_lock_of_another_place_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.start("1").wait(120) == 0
    elsewhere = f"file:{tmp_path / 'locks'}"

    writer = cluster.start("2", "1", lock=elsewhere, stderr=subprocess.PIPE)

    _, said = writer.communicate(timeout=120)
    assert writer.returncode == REFUSED
    assert f"are made under lease:{NAMESPACE}/{lease_name(MODEL, 'champion')}, but here" in said
    assert cluster.aliases == {"champion": "1"}
