"""Processes that hold a Lease, and the record of what they wrote under it."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernetes.client import CoordinationV1Api, V1Lease

from tests.cluster.api_server import ApiServer

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"


@dataclass
class Holder:
    """One process, which does what :mod:`tests.cluster.holder` calls its job."""

    process: subprocess.Popen[str]
    errors: Path
    signalled: bool = False
    """The test has stopped or killed it."""

    @property
    def said(self) -> str:
        """Its standard error."""
        return self.errors.read_text()

    @property
    def starved(self) -> bool:
        """It lost its Lease, or its life, since this machine kept it or the API server waiting."""
        killed = self.process.poll() == -signal.SIGKILL and not self.signalled
        return killed or "was not renewed for" in self.said

    def send(self, number: signal.Signals) -> None:
        self.signalled = True
        self.process.send_signal(number)

    def wait_until_stopped(self) -> None:
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended instead (status {status}): {self.said}"

    def end(self, timeout_s: float = 120) -> int:
        """Its exit status; negative for the signal that killed it."""
        return self.process.wait(timeout_s)

    def succeed(self, timeout_s: float = 120) -> None:
        assert self.end(timeout_s) == 0, self.said


class Holders:
    """What starts them, and what they share: a Lease, and a file that they write to."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server, self._parent = server, folder
        self._started: list[Holder] = []
        self._start_over()

    def make_lease(self) -> None:
        """A Lease that was held before, so that nobody waits for holders of an earlier one."""
        body = {"metadata": {"name": self.lease}, "spec": {"leaseTransitions": 7}}
        self.leases.create_namespaced_lease(NAMESPACE, body)

    def attempts(
        self, in_vain: Callable[[Holder], bool] = lambda holder: holder.starved
    ) -> Iterator[None]:
        """Up to three, each with a new Lease and an empty record.

        Args:
            in_vain: whether a holder of an attempt calls for another one.
        """
        for _ in range(3):
            self._start_over()
            before = len(self._started)
            yield
            if not any(map(in_vain, self._started[before:])):
                return

    @property
    def leases(self) -> CoordinationV1Api:
        return CoordinationV1Api(self.server.client())

    def found(self) -> V1Lease:
        return self.leases.read_namespaced_lease(self.lease, NAMESPACE)

    def start(
        self,
        job: str,
        name: str,
        *,
        duration_s: int = 3,
        environment: Mapping[str, str] | None = None,
        **options: object,
    ) -> Holder:
        errors = self.folder / f"{name}.errors"
        settings = {
            "server": self.server.url,
            "token": self.server.token,
            "certificate": str(self.server.certificate),
            "namespace": NAMESPACE,
            "lease": self.lease,
            "record": str(self.record),
            "name": name,
            "duration_s": duration_s,
            **options,
        }
        with errors.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster.holder", job, json.dumps(settings)],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stderr=file,
                text=True,
            )
        holder = Holder(process, errors)
        self._started.append(holder)
        return holder

    def lines(self) -> list[str]:
        """What was written until now, one line a write."""
        return self.record.read_text().splitlines()

    def writers(self) -> list[str]:
        """Who wrote, once a write; tests name them in the order in which they may."""
        names = [line for line in self.lines() if " " not in line]
        assert names == sorted(names), "one wrote after the next had begun to"
        return names

    def wait_for(self, line: str) -> None:
        """Until it was written, or nobody is left to write it."""
        wait_until(lambda: line in self.lines() or self._have_ended(), 120, f"{line!r}")

    def wait_for_file(self, name: str) -> None:
        wait_until((self.folder / name).exists, 120, name)

    def _start_over(self) -> None:
        self.lease = f"test-{uuid.uuid4()}"
        self.folder = self._parent / self.lease
        self.folder.mkdir()
        self.record = self.folder / "record"
        self.record.touch()

    def _have_ended(self) -> bool:
        return all(holder.process.poll() is not None for holder in self._started)

    def kill(self) -> None:
        for holder in self._started:
            holder.process.kill()
            holder.process.wait()


def wait_until(happened: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)
