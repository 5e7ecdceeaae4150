"""Servers as processes on loopback: on free ports, awaited, and stopped whatever happens."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
LOG = "server.log"
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections, which could take a port between the moment
it is found free and the moment the server binds it."""
_POLL_S = 0.05
_STOP_S = 10.0
_KILLED_S = 60.0
_LOG_TAIL_LINES = 30
_FOREIGN = ("AWS_", "MLFLOW_", "PG")
_claims: list[socket.socket] = []
"""Of ports, kept for as long as this process lives."""


class ServerFailed(Exception):  # noqa: N818 - reads as an event
    """A server ended, or was not ready in time; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Account:
    """Whom a server runs as, where it may not be the user that runs the tests."""

    user: int
    group: int

    @property
    def options(self) -> dict[str, Any]:
        """For the functions of :mod:`subprocess`."""
        return {"user": self.user, "group": self.group, "extra_groups": []}


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    pid: int
    """The leader of its process group."""
    folder: Path
    """Its working directory, which holds its log."""
    seconds: float
    """From its start until it was ready."""


def free_ports(count: int) -> list[int]:
    """Distinct ports of loopback that nobody listens on, and that this process alone is given for
    as long as it lives."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if _reserve(port) and _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServerFailed(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without settings of MLflow, S3 and PostgreSQL, and with
    ``extra``."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)} | extra


@contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    ready: Callable[[], bool],
    *,
    env: dict[str, str] | None = None,
    account: Account | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    timeout_s: float = 180.0,
) -> Iterator[Running]:
    """Run a server for the block, from when it is ready.

    Args:
        command: program and arguments; the program's name stands for it in errors.
        folder: its working directory, which gets its log.
        ready: whether it answers; asked about twenty times a second.
        env: its whole environment; without one, that of :func:`environment`.
        account: whom it runs as; without one, as the tests do.
        stop_signal: asks it to end. Ten seconds later its whole process group is killed.
        timeout_s: how long it may take to be ready.

    Raises:
        ServerFailed: it ended by itself, or was not ready in time.
    """
    started = time.monotonic()
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **(account.options if account else {}),
        )
    try:
        _wait(process, folder, ready, started + timeout_s)
        yield Running(process.pid, folder, time.monotonic() - started)
    finally:
        _stop(process, stop_signal)


def processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is ``folder`` or below it, removed folders included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        # Processes end while we look, and those of other users cannot be looked into.
        with suppress(OSError):
            if _is_below((entry / "cwd").readlink(), folder):
                found.append(int(entry.name))
    return found


def _is_below(path: Path, folder: Path) -> bool:
    return Path(str(path).removesuffix(" (deleted)")).is_relative_to(folder.resolve())


def _reserve(port: int) -> bool:
    """Whether it is ours from now on, and was nobody's: a name that Linux gives to one socket at a
    time, and takes back when its process ends."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0kubedistill-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _wait(
    process: subprocess.Popen[bytes], folder: Path, ready: Callable[[], bool], deadline: float
) -> None:
    name = Path(os.fsdecode(process.args[0])).name  # type: ignore[index, arg-type]
    while not ready():
        if process.poll() is not None:
            problem = f"ended with status {process.returncode} before it was ready"
        elif time.monotonic() > deadline:
            problem = "was not ready in time"
        else:
            time.sleep(_POLL_S)
            continue
        raise ServerFailed(f"{name} {problem}; the end of its log:\n{_tail(folder / LOG)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Ask the leader, which tells its workers; then kill what is left of the group, and see it
    gone."""
    process.send_signal(stop_signal)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_KILLED_S)
    deadline = time.monotonic() + _KILLED_S
    while (left := _members(process.pid)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if left:
        raise ServerFailed(f"processes {left} do not end, though they were killed")


def _members(group: int) -> list[int]:
    """Processes of a group that are not dead yet; nobody may ever fetch the status of the dead."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # After the name, which may hold anything: state, parent, group.
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(entry.name))
    return found
