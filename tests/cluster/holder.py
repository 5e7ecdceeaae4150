"""What a process of these tests does with the lock.

Call it as ``python -m tests.cluster.holder JOB SETTINGS``, the settings as JSON. Every write to the
record is one line, after :meth:`Hold.check`, as a promotion does it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration

from components.registration.locking import lease_record
from components.registration.locking.choosing import choose_lock
from components.registration.locking.lease import LeaseLock
from components.registration.locking.lease_api import LeaseApi
from components.registration.locking.lease_record import Lease
from components.registration.locking.lock import LockBusy, LockLost, LockUnavailable
from components.registration.store import Store
from components.shared import cluster
from components.shared.errors import UserError


@dataclass
class Settings:
    server: str
    token: str
    certificate: str
    namespace: str
    lease: str
    record: str
    name: str
    duration_s: int
    patience_s: float = 60.0
    rounds: int = 0
    seconds: float = 0.0
    stop_at: str = ""
    clock_offset_s: float = 0.0
    lost_answers: int = 0
    service_account: str = ""

    @property
    def lock(self) -> LeaseLock:
        configuration = Configuration()
        configuration.host = self.server
        configuration.ssl_ca_cert = self.certificate
        configuration.api_key = {"authorization": f"Bearer {self.token}"}
        configuration.retries = 0
        leases = LosesAnswers(ApiClient(configuration), self.namespace, self.lease)
        leases.left = self.lost_answers
        return LeaseLock(leases, duration_s=self.duration_s, patience_s=self.patience_s)

    def write(self, line: str) -> None:
        with Path(self.record).open("a") as file:
            file.write(f"{line}\n")

    def beside_the_record(self, kind: str) -> Path:
        """A file of this holder."""
        return Path(self.record).with_name(f"{self.name}.{kind}")


class LosesAnswers(LeaseApi):
    """The requests arrive, and the answers to the first few writes do not."""

    left = 0

    def create(self, document: dict[str, Any], timeout_s: float) -> Lease:
        return self._answer(super().create(document, timeout_s))

    def replace(self, document: dict[str, Any], timeout_s: float) -> Lease:
        return self._answer(super().replace(document, timeout_s))

    def _answer(self, lease: Lease) -> Lease:
        if self.left > 0:
            self.left -= 1
            raise LockUnavailable("the answer was lost")
        return lease


def count(settings: Settings) -> None:
    """Add one to a number, many times; two at once would lose an addition."""
    number = Path(settings.record).with_name("number")
    for _ in range(settings.rounds):
        with settings.lock.hold() as hold:
            before = int(number.read_text())
            time.sleep(0.01)
            hold.check()
            number.write_text(str(before + 1))
            settings.write(hold.term)


def write_often(settings: Settings) -> None:
    """Write its name every 50 ms for some time, or until there is a file ``stop``."""
    stop = Path(settings.record).with_name("stop")
    with settings.lock.hold() as hold:
        settings.write(f"{settings.name} holds")
        until = time.monotonic() + settings.seconds
        while time.monotonic() < until and not stop.exists():
            hold.check()
            settings.write(settings.name)
            time.sleep(0.05)
    settings.write(f"{settings.name} released")


def write_once(settings: Settings) -> None:
    """Write its name once; a file tells that it is about to look for the lock."""
    settings.beside_the_record("started").touch()
    with settings.lock.hold() as hold:
        hold.check()
        settings.write(settings.name)


def be_stuck(settings: Settings) -> None:
    """Hold it in one long call, as a request to a server that does not answer; a file is touched
    for as long as the process runs."""
    beat = settings.beside_the_record("beat")

    def run() -> None:
        while True:
            beat.touch()
            time.sleep(0.05)

    with settings.lock.hold() as hold:
        hold.check()
        threading.Thread(target=run, daemon=True).start()
        settings.write(f"{settings.name} holds")
        time.sleep(settings.seconds)
        settings.write(settings.name)


def be_stopped(settings: Settings) -> None:
    """Two writes; the process stops itself at one point of them."""

    def at(point: str) -> None:
        if point == settings.stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)

    with settings.lock.hold() as hold:
        at("taken")
        for number in (1, 2):
            hold.check()
            at(f"between check and write {number}")
            settings.write(f"{settings.name} {number}")
            at(f"after write {number}")
    at("released")
    settings.write(f"{settings.name} released")


def write_in_pod(settings: Settings) -> None:
    """Write once with the lock that is chosen in a pod."""
    cluster.SERVICE_ACCOUNT = Path(settings.service_account)
    lock = choose_lock(Store("http://mlflow:5000", None), "digits-student", "champion")
    with lock.hold() as hold:
        hold.check()
        settings.write(f"{lock.guard}, {hold.term}")


JOBS: dict[str, Callable[[Settings], None]] = {
    job.__name__: job
    for job in (count, write_often, write_once, be_stuck, be_stopped, write_in_pod)
}


def shift_wall_clock(by_s: float) -> None:
    """As if somebody had set this machine's time wrong; its monotonic clocks are as they were."""
    real_time = time.time
    time.time = lambda: real_time() + by_s

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=by_s)

    lease_record.datetime = Shifted


def main(job: str, settings: Settings) -> None:
    shift_wall_clock(settings.clock_offset_s)
    try:
        JOBS[job](settings)
    except (LockBusy, LockLost, LockUnavailable, UserError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1], Settings(**json.loads(sys.argv[2])))
