"""A warm interpreter: imports the libraries of one container image, then forks for every step.

``python server.py FOLDER NAME LISTENER TURN DONE MODULE...``, where LISTENER, TURN and DONE are
descriptors: the listening socket, a pipe that ends when this server may import, and one to close
when it has. Standard input is a pipe that the run holds open. Its end is the end of the server and
of all steps in it, so they die with the run whatever that died of.

Before a fork there are imports and nothing else: a library's thread pool does not survive a fork,
but is made anew in the child when that is where it is first used.
"""

import ctypes
import fcntl
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

_REQUEST_TIMEOUT_S = 10.0
_GRACE_S = 3.0
"""Between SIGTERM and SIGKILL for the steps of a run that died: time to save a checkpoint."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass(eq=False)
class Step:
    """A step that runs in a fork, as the leader of a process group."""

    pid: int
    pidfd: int
    client: socket.socket
    signalled: bool = False

    def signal(self, number: int) -> None:
        """Send a signal to the step's process group."""
        self.signalled = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        """Let go of the step."""
        self.client.close()
        os.close(self.pidfd)


@dataclass
class Server:
    """Forks for the requests on ``listener``, and follows the steps."""

    folder: Path
    listener: socket.socket
    private: list[int]
    """Other descriptors that a fork must not keep."""
    steps: list[Step] = field(default_factory=list)

    def follow_run(self) -> None:
        """From now on, end with the run: the kernel signals the end of standard input."""
        signal.signal(signal.SIGIO, self._on_lifeline)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
        self._on_lifeline(signal.SIGIO, None)

    def serve(self, timeout: float | None = None) -> None:
        """Handle what has happened, or wait for it for at most ``timeout`` seconds."""
        handlers = {self.listener.fileno(): self._start_step}
        for step in self.steps:
            handlers[step.pidfd] = partial(self._end_step, step)
            handlers[step.client.fileno()] = partial(self._follow_client, step)
        ready, _, _ = select.select(list(handlers), [], [], timeout)
        for descriptor in ready:
            handlers[descriptor]()

    def _start_step(self) -> None:
        client, _ = self.listener.accept()
        client.settimeout(_REQUEST_TIMEOUT_S)
        try:
            header, streams, _, _ = socket.recv_fds(client, 8, 3)
            with client.makefile("rb") as file:
                request = file.read(int.from_bytes(header))
        except OSError:
            client.close()
            return
        # Until this process knows the child, and the child has its own handlers, signals wait.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        run = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_step(run, client)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            run_step(request, streams)
        step = Step(pid, os.pidfd_open(pid), client)
        self.steps.append(step)
        with suppress(OSError):
            os.setpgid(pid, pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for stream in streams:
            os.close(stream)
