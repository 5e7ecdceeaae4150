"""What the kernel does with a process at its deadline, whatever state that is in."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.registration.locking import watchdog
from components.shared.errors import UserError

ROOT = Path(__file__).parents[2]
BUSY = """
import threading
def work():
    while True:
        counter.write("x")
        counter.flush()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
"""
"""Threads that leave a trace of everything that they do."""


@contextmanager
def armed(tmp_path: Path, after_s: float, then: str) -> Iterator[subprocess.Popen[str]]:
    """A process whose watchdog is armed, and which then runs some code."""
    code = (
        "from components.registration.locking.watchdog import Watchdog, now\n"
        "import os, signal, sys, time\n"
        f"counter = open({str(tmp_path / 'trace')!r}, 'a')\n"
        f"dog = Watchdog(now() + {after_s})\n"
        f"{then}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_running_process_is_killed(tmp_path: Path) -> None:
    with armed(tmp_path, 0.3, "time.sleep(300)") as process:
        assert process.wait(120) == -signal.SIGKILL


def test_stopped_process_dies_while_it_is_stopped(tmp_path: Path) -> None:
    stop = "dog.put_off(now() + 3)\nos.kill(os.getpid(), signal.SIGSTOP)"
    with armed(tmp_path, 300, f"{BUSY}\n{stop}") as process:
        wait_until_stopped(process)
        written = (tmp_path / "trace").stat().st_size

        # Nobody continues it.
        assert process.wait(120) == -signal.SIGKILL
        assert (tmp_path / "trace").stat().st_size == written


def test_process_that_refuses_to_be_told_is_killed(tmp_path: Path) -> None:
    """Every signal is blocked and ignored that can be."""
    deaf = (
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "time.sleep(300)"
    )
    with armed(tmp_path, 1, deaf) as process:
        assert process.wait(120) == -signal.SIGKILL


def test_deadline_that_has_passed_kills_at_once(tmp_path: Path) -> None:
    with armed(tmp_path, -5, "time.sleep(300)") as process:
        assert process.wait(120) == -signal.SIGKILL


def test_deadline_can_be_put_off_by_any_thread(tmp_path: Path) -> None:
    renewals = (
        "import threading\n"
        "def renew():\n"
        "    for _ in range(10):\n"
        "        dog.put_off(now() + 2.5)\n"
        "        time.sleep(0.3)\n"
        "renewing = threading.Thread(target=renew)\n"
        "renewing.start()\n"
        "renewing.join()\n"
        "print('renewed', flush=True)\n"
        "time.sleep(300)"
    )
    for _ in range(3):  # where the machine stalls for 2 s, a renewal comes too late
        with armed(tmp_path, 2, renewals) as process:
            output, _ = process.communicate(timeout=120)
        if output:
            break
    assert (output, process.returncode) == ("renewed\n", -signal.SIGKILL)


def test_disarmed_watchdog_lets_live_and_stays_disarmed(tmp_path: Path) -> None:
    late_renewal = "dog.disarm()\ndog.put_off(now() + 0.1)\ndog.disarm()\ntime.sleep(2.5)"
    with armed(tmp_path, 2, late_renewal) as process:
        assert process.wait(120) == 0


def test_forked_child_has_no_deadline(tmp_path: Path) -> None:
    fork = (
        "if os.fork() == 0:\n"
        "    time.sleep(3)\n"
        "    print('child', flush=True)\n"
        "    os._exit(0)\n"
        "time.sleep(300)"
    )
    with armed(tmp_path, 2, fork) as process:
        assert process.wait(120) == -signal.SIGKILL
        output, _ = process.communicate(timeout=120)
        assert output == "child\n"


def test_clock_of_deadlines_is_that_of_the_time_since_boot() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])

    assert abs(watchdog.now() - uptime) < 5


def test_first_process_of_a_container_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    watchdog.require()
    monkeypatch.setattr(os, "getpid", lambda: 1)

    with pytest.raises(UserError, match="the first process of its container"):
        watchdog.require()


def test_timers_are_given_back(tmp_path: Path) -> None:
    """The kernel has a limited number of them for each user."""
    many = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_SIGPENDING, (100, 100))\n"
        "for _ in range(1000):\n"
        "    Watchdog(now() + 300).disarm()\n"
    )
    with armed(tmp_path, 300, many) as process:
        assert process.wait(120) == 0
