"""The lock of one machine: other processes, crashes, stopped holders, deleted files."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.registration.locking.file_lock import FileLock
from components.registration.locking.lock import LockBusy, LockLost

ROOT = Path(__file__).parents[2]
COUNT = """
number = path.with_name("number")
for _ in range(25):
    with FileLock(path).hold() as hold:
        before = int(number.read_text())
        time.sleep(0.002)
        hold.check()
        number.write_text(str(before + 1))
        with path.with_name("terms").open("a") as terms:
            print(hold.term, file=terms)
"""
HOLD = """
with FileLock(path).hold():
    print("held", flush=True)
    time.sleep(300)
"""


@contextmanager
def process(path: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that does something with the lock."""
    start = (
        "from components.registration.locking.file_lock import FileLock\n"
        "from pathlib import Path\n"
        "import os, time\n"
        f"path = Path({str(path)!r})\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", start + code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with process(path, HOLD) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "alias.lock"


def test_holdings_of_several_processes_never_overlap_and_have_terms_of_their_own(
    path: Path,
) -> None:
    path.parent.mkdir()
    path.with_name("number").write_text("0")

    with (
        process(path, COUNT) as first,
        process(path, COUNT) as second,
        process(path, COUNT) as third,
    ):
        assert [counting.wait(300) for counting in (first, second, third)] == [0, 0, 0]

    assert path.with_name("number").read_text() == "75"
    terms = re.findall(r", term (\d+)$", path.with_name("terms").read_text(), re.MULTILINE)
    assert terms == [str(term) for term in range(1, 76)]


def test_killed_holder_is_replaced_at_once(path: Path) -> None:
    with held(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        started = time.monotonic()
        with FileLock(path).hold() as hold:
            hold.check()
            assert hold.term == f"file lock {path} on {socket.gethostname()}, term 2"

    assert time.monotonic() - started < 5
    assert path.exists()


def test_stopped_holder_keeps_the_lock_and_is_named(path: Path) -> None:
    with held(path) as holder:
        holder.send_signal(signal.SIGSTOP)

        with pytest.raises(LockBusy) as busy, FileLock(path, patience_s=0.5).hold():
            pass

        assert f"(process {holder.pid}@{socket.gethostname()}, since 20" in str(busy.value)
        assert str(busy.value).endswith("did not let go of it in 0.5 s")


def test_block_that_fails_gives_the_lock_back(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FileLock(path).hold():
        _ = 1 / 0

    with FileLock(path, patience_s=0).hold():
        pass


def test_child_that_outlives_the_block_does_not_keep_the_lock(path: Path) -> None:
    fork = (
        "with FileLock(path).hold():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(300)\n"
        "print(child, flush=True)\n"
    )
    with process(path, fork) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            with FileLock(path, patience_s=0.5).hold():
                pass
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("replaced", [False, True])
def test_holder_of_a_file_that_is_gone_is_told(path: Path, replaced: bool) -> None:
    """Whoever comes next would lock another file of that name."""
    with FileLock(path).hold() as hold:
        hold.check()
        path.unlink()
        if replaced:
            path.touch()

        with pytest.raises(LockLost, match="was deleted or replaced while"):
            hold.check()


def test_file_that_was_deleted_while_others_waited_lets_one_in_at_a_time(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("number").write_text("0")

    with held(path) as holder, process(path, COUNT) as first, process(path, COUNT) as second:
        time.sleep(1)
        path.unlink()
        holder.kill()
        assert [counting.wait(300) for counting in (first, second)] == [0, 0]

    assert path.with_name("number").read_text() == "50"


@pytest.mark.parametrize("content", ["", "not JSON", "[1]", '{"term": 4'])
def test_whatever_a_crash_left_in_the_file_is_written_over(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)

    with FileLock(path).hold() as hold:
        assert hold.term.endswith("term 1")

    record = json.loads(path.read_text())
    assert record["term"] == 1
    assert record["holder"] == f"{os.getpid()}@{socket.gethostname()}"
