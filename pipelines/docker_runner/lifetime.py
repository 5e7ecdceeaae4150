"""No container outlives its run: not after Ctrl-C, SIGTERM, a closed terminal, or SIGKILL."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from components.shared.errors import StepFailed

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHELL_SIGNAL_BASE = 128


class Lifeline:
    """A pipe to the process that removes the containers of a run when it is cut."""

    def __init__(self, label: str) -> None:
        """Start the process.

        Args:
            label: of the containers, ``NAME=VALUE``.
        """
        self.label = label
        self.is_cut = False
        program = Path(__file__).with_name("reaper.py")
        self._reaper = subprocess.Popen(
            [sys.executable, "-P", program, label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run
        )

    def cut(self) -> None:
        """Have the containers removed; from now on no step is to be started."""
        self.is_cut = True
        if self._reaper.stdin:
            self._reaper.stdin.close()

    def wait(self) -> None:
        """Until they are removed.

        Raises:
            StepFailed: they are not.
        """
        if self._reaper.wait() != 0:
            raise StepFailed(
                "the Docker engine does not answer, so that a container may be left; when it does, "
                f"docker ps --all --filter label={self.label} shows it"
            )

    def drop(self) -> None:
        """There are no containers: end the process."""
        self._reaper.kill()
        self._reaper.wait()
        if self._reaper.stdin:
            self._reaper.stdin.close()


@contextmanager
def removed_with_this_process(label: str) -> Iterator[Lifeline]:
    """Containers with this label do not outlive the block, nor this process.

    Signals that end the process do so by an exception, after the containers are gone.

    Args:
        label: of the containers, ``NAME=VALUE``.

    Raises:
        StepFailed: the block failed, and the engine does not answer.
    """
    lifeline = Lifeline(label)

    def end(number: int, _frame: FrameType | None) -> None:
        # At once, and not in the block below: KFP may be waiting for a container in a thread.
        lifeline.cut()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(_SHELL_SIGNAL_BASE + number)

    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield lifeline
    except BaseException:
        lifeline.cut()
        lifeline.wait()
        raise
    else:
        lifeline.drop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
