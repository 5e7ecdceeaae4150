"""A fence that the kernel keeps: this process is killed when its lease ends, whatever it is doing.

A check before each write does not help a process that is stopped *between* the check and the write
(SIGSTOP, a frozen container, a machine that sleeps), and goes on when the lock has long been
somebody else's. So a timer of the kernel sends SIGKILL at the deadline, unless a renewal has put it
off. What Linux does then (kernel/signal.c; measured on 6.18, and in tests/registration):

- A stopped process dies while it is stopped, and one in a frozen cgroup (version 2) while it is
  frozen; in version 1 it dies before its next instruction. In 150 rounds with 1, 2 and 8 threads
  none executed anything more.
- ``setitimer`` with SIGALRM would not do: that signal stays queued while the process is stopped,
  then all threads run again, and one of them went on in 4 of 650 rounds with 8 threads, until
  another had taken the signal. It may be blocked, ignored or handled besides.
- CLOCK_BOOTTIME goes on while the machine sleeps, so that the timer is due at once afterwards.
- The first process of a PID namespace, as a container's often is, is spared by every signal from
  inside, this one included; so :func:`require` refuses it.

What no process can guard itself against: a virtual machine that is paused together with its own
clocks, and a request that was sent before the deadline and reaches its server after it.
"""

import ctypes
import os
import signal
import sys
import threading
import time

from components.shared.errors import UserError

_SIGEV_SIGNAL = 0
_TIMER_ABSTIME = 1


def now() -> float:
    """Seconds on the clock of deadlines: CLOCK_BOOTTIME, which no one sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def require() -> None:
    """Refuse where the kernel would not kill this process.

    Raises:
        UserError: this is no Linux, or the first process of a container.
    """
    if sys.platform != "linux":
        raise UserError(
            "a Lease can be held on Linux only, where the kernel ends a holder that slept through "
            "it; run this in the cluster"
        )
    if os.getpid() == 1:
        raise UserError(
            "this is the first process of its container, which Linux never kills from inside, so "
            "that it could go on writing after it slept through its lease; start it by an init "
            "(tini -- kubedistill …), or set shareProcessNamespace: true for the pod"
        )


class Watchdog:
    """Kills this process at a deadline, until it is disarmed. Every thread may call it.

    A forked child does not have the timer.
    """

    def __init__(self, deadline: float) -> None:
        """Arm it.

        Args:
            deadline: in the seconds of :func:`now`; one in the past kills at once.

        Raises:
            OSError: the kernel has no more timers for this user.
        """
        self._timer: ctypes.c_void_p | None = _new_timer()
        self._mutex = threading.Lock()
        self.put_off(deadline)

    def put_off(self, deadline: float) -> None:
        """Set another deadline; does nothing once disarmed."""
        seconds, fraction = divmod(deadline, 1)
        due = _TimerSpec(seconds=int(seconds), nanoseconds=int(fraction * 1e9))
        with self._mutex:
            if self._timer is not None:
                _call("timer_settime", self._timer, _TIMER_ABSTIME, ctypes.byref(due), None)

    def disarm(self) -> None:
        """Let the process live; may be called again."""
        with self._mutex:
            timer, self._timer = self._timer, None
            if timer is not None:
                _call("timer_delete", timer)


class _SigEvent(ctypes.Structure):
    """``struct sigevent``, 64 bytes with its padding."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_byte * 48),
    )


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``, without an interval."""

    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def _new_timer() -> ctypes.c_void_p:
    timer = ctypes.c_void_p()
    event = _SigEvent(signal=signal.SIGKILL, notify=_SIGEV_SIGNAL)
    _call("timer_create", time.CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(timer))
    return timer


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")
