"""A warm interpreter: imports the libraries of one container image, then forks for every step.

``python server.py FOLDER NAME LISTENER TURN DONE MODULE...``, where LISTENER, TURN and DONE are
descriptors: the listening socket, a pipe that ends when this server may import, and one to close
when it has. Standard input is a pipe that the run holds open. Its end is the end of the server and
of all steps in it, so they die with the run whatever that died of.

Before a fork there are imports and nothing else: a library's thread pool does not survive a fork,
but is made anew in the child when that is where it is first used.
"""

import atexit
import fcntl
import gc
import importlib
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from components.shared.parent import signal_at_its_end

_SIGINT_GRACE_S = 0.5
"""Between the end of the run and SIGTERM for its steps: Ctrl-C has reached them already."""
_GRACE_S = 3.0
"""Between SIGTERM and SIGKILL for the steps of a run that died: time to save a checkpoint."""
_PID_BYTES = 4
_SHELL_SIGNAL_BASE = 128


@dataclass(eq=False)
class Step:
    """A step that runs in a fork, as the leader of a process group."""

    pid: int
    pidfd: int
    client: socket.socket

    def signal(self, number: int) -> None:
        """Send a signal to the step's process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


@dataclass
class Server:
    """Forks for the requests that come to ``listener``, and follows the steps."""

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
            handlers[step.client.fileno()] = partial(self._follow_client, step)
            handlers[step.pidfd] = partial(self._end_step, step)
        ready, _, _ = select.select(list(handlers), [], [], timeout)
        for descriptor in ready:
            handlers[descriptor]()

    def _start_step(self) -> None:
        client, _ = self.listener.accept()
        header, streams, _, _ = socket.recv_fds(client, 8, 3)
        size = int.from_bytes(header)
        request = client.recv(size, socket.MSG_WAITALL)
        if not request or len(request) < size:  # the client was killed
            for descriptor in (client.detach(), *streams):
                os.close(descriptor)
            return
        # Until this process knows the child, and the child has its own handlers, signals wait.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._leave(server)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            run_step(request, streams, client)
        with suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(pid, pid)
        self.steps.append(Step(pid, os.pidfd_open(pid), client))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for stream in streams:
            os.close(stream)

    def _leave(self, server: int) -> None:
        """In a new child: be no server any more, but die with it."""
        os.setpgid(0, 0)
        if not signal_at_its_end(server, signal.SIGKILL):
            os._exit(1)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        self.listener.close()
        for step in self.steps:
            step.client.close()
            os.close(step.pidfd)
        for descriptor in self.private:
            os.close(descriptor)

    def _follow_client(self, step: Step) -> None:
        if step not in self.steps:
            return
        try:
            acknowledged = step.client.recv(1)
        except ConnectionError:
            acknowledged = b""
        if not acknowledged:  # the client was killed, and its step goes with it
            step.signal(signal.SIGKILL)
        self._end_step(step)

    def _end_step(self, step: Step) -> None:
        if step not in self.steps:
            return
        self.steps.remove(step)
        _, waited = os.waitpid(step.pid, 0)
        code = os.waitstatus_to_exitcode(waited)
        with suppress(ConnectionError):  # most steps have sent it themselves
            step.client.send(bytes([code if code >= 0 else _SHELL_SIGNAL_BASE - code]))
        step.client.close()
        os.close(step.pidfd)

    def _on_lifeline(self, _number: int, _frame: FrameType | None) -> None:
        if not select.select([0], [], [], 0)[0]:
            return
        for grace, number in ((_SIGINT_GRACE_S, signal.SIGTERM), (_GRACE_S, signal.SIGKILL)):
            running = {step.pidfd for step in self.steps}
            deadline = time.monotonic() + grace
            while running and time.monotonic() < deadline:
                running.difference_update(select.select(list(running), [], [], 0.1)[0])
            for step in self.steps:  # ended ones too, for what they left in their group
                step.signal(number)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)


def run_step(request: bytes, streams: list[int], client: socket.socket) -> NoReturn:
    """Become what a new ``python -m MODULE ARGUMENT...`` is, as far as a step can tell; then end.

    Args:
        request: as the client's ``encode_request`` made it.
        streams: descriptors of standard input, output and error.
        client: is told the process id at the start, and the exit status at the end.
    """
    status = 1
    try:
        with suppress(ConnectionError):
            client.send(os.getpid().to_bytes(_PID_BYTES))
        status = _run_module(_become_interpreter(request, streams))
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(ConnectionError):
            client.send(bytes([status]))
        # Like multiprocessing's children, without the destructors of C libraries: they wait for
        # threads that a fork does not copy (onnxruntime's never ends).
        os._exit(status)


def _become_interpreter(request: bytes, streams: list[int]) -> str:
    """Take on the request's streams, directory, environment and arguments; return its module."""
    cwd, count, *fields = os.fsdecode(request).split("\0")
    _, module, *arguments = fields[: int(count)]
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(dict(pair.split("=", 1) for pair in fields[int(count) :]))
    sys.argv = [module, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = cwd
    importlib.invalidate_caches()
    # Unseeded numbers differ from step to step; Python sees to that for `random` by itself.
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    return module


def _run_module(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        interrupted = isinstance(error, KeyboardInterrupt)
        return _SHELL_SIGNAL_BASE + signal.SIGINT if interrupted else 1
    return 0


def main(folder: str, name: str, descriptors: list[int], modules: list[str]) -> NoReturn:
    """Import ``modules`` when it is this server's turn or a step waits; serve until the end.

    A step that waits is also served between two imports.
    """
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` has it
    listener, turn, done = descriptors
    server = Server(Path(folder), socket.socket(fileno=listener), [turn, done])
    server.follow_run()
    select.select([turn, listener], [], [])
    start = time.perf_counter()
    for module in modules:
        # A step that needs a broken module imports it itself, and shows why it fails.
        with suppress(Exception, SystemExit):
            importlib.import_module(module)
        server.serve(timeout=0)
    seconds = time.perf_counter() - start
    (server.folder / f"{name}.seconds").write_text(f"{seconds:.3f}")
    for descriptor in server.private:
        os.close(descriptor)
    server.private.clear()
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection in a step need look at it
    while True:
        server.serve()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(number) for number in sys.argv[3:6]], sys.argv[6:])
