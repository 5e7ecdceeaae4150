"""Labelling in processes that start at once and may be killed: forks of one that has imported all.

As a program, it reads a line of JSON for each process to start, and writes lines of JSON: the
process's id at once, and how it ended. Nothing is computed before the fork, since threads of
numerical libraries do not survive it.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).parents[2]


class WarmLabelling:
    """Starts labelling steps and tells how they end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._started: Queue[int] = Queue()
        self._ended: dict[int, Queue[int]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, step: str, *arguments: Any) -> int:
        """Start a step in a process of its own; return its id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([step, *arguments], default=str) + "\n")
        self._process.stdin.flush()
        return self._started.get(timeout=240)

    def is_running(self, pid: int) -> bool:
        """Whether a process that nobody waited for has not ended."""
        return self._ended[pid].empty()

    def wait(self, pid: int) -> int:
        """The exit status of a process, or minus the signal that killed it."""
        return self._ended[pid].get(timeout=120)

    def run(self, step: str, *arguments: Any) -> int:
        """Run a step; return its exit status."""
        return self.wait(self.start(step, *arguments))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "started" in message:
                self._ended[message["started"]] = Queue()
                self._started.put(message["started"])
            else:
                self._ended[message["ended"]].put(message["status"])


@contextmanager
def warm_labelling(log: Path) -> Iterator[WarmLabelling]:
    """Run the process that forks, for the block; what steps print goes to ``log``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.data_faults.warm_labelling", log],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield WarmLabelling(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()


def _serve(log: Path) -> None:
    import torch

    from components.soft_labels import steps

    torch.set_num_threads(1)
    lock = threading.Lock()

    def say(**message: int) -> None:
        with lock:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()

    def follow(pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        say(ended=pid, status=os.waitstatus_to_exitcode(status))

    for line in sys.stdin:
        step, *arguments = json.loads(line)
        with lock:  # or a child would inherit it locked
            pid = os.fork()
            if pid == 0:
                os._exit(_label(getattr(steps, step), arguments, log))
        say(started=pid)
        threading.Thread(target=follow, args=(pid,)).start()


def _label(step: Any, arguments: list[Any], log: Path) -> int:
    """Exit status of a step, with folders among its arguments as paths."""
    dataset, digest, teacher, teacher_digest, section, storage, last = arguments
    last = Path(last) if isinstance(last, str) else last
    with log.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            step(Path(dataset), digest, Path(teacher), teacher_digest, section, storage, last)
        except SystemExit as ended:
            return int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
            return 1
        return 0


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
