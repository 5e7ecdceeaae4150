"""The stand-in for ``python3`` in a step's command: has a warm interpreter run the step.

``python3 -I -S client.py SOCKET -m MODULE ARGUMENT...`` ends with the status that ``python3 -m
MODULE ARGUMENT...`` would end with. It runs once a step, so it imports as little as it can.

Over the socket go the length of the request (8 bytes, with the three standard streams attached) and
the request. Back come the step's process id (4 bytes) when it starts, its exit status (1 byte) when
it ends.
"""

import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

_HEADER_BYTES = 8
_PID_BYTES = 4
_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def encode_request(cwd: str, arguments: list[str], environment: dict[str, str]) -> bytes:
    """Working directory, number of arguments, arguments, and ``NAME=value`` pairs.

    They are separated by NUL, the one byte that none of them can hold.
    """
    pairs = [f"{name}={value}" for name, value in environment.items()]
    return os.fsencode("\0".join([cwd, str(len(arguments)), *arguments, *pairs]))


def main(address: str, arguments: list[str]) -> int:
    """Run the step and return its exit status; 1 when the interpreter dies under it.

    When the interpreter had died before (nobody listens), this process becomes a cold one.
    """
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(address)
    except ConnectionRefusedError:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is wanted
    except FileNotFoundError:
        print(f"{address} is gone: the run that this step belongs to has ended", file=sys.stderr)
        return 1

    request = encode_request(os.getcwd(), arguments, dict(os.environ))  # noqa: PTH109 - slow import
    status = b""
    with suppress(ConnectionError):
        socket.send_fds(server, [len(request).to_bytes(_HEADER_BYTES)], [0, 1, 2])
        server.sendall(request)
        if pid := int.from_bytes(server.recv(_PID_BYTES, socket.MSG_WAITALL)):
            _forward_signals(pid)
        status = server.recv(1)
        server.send(status)  # so that the server knows that nobody killed this process
    if not status:
        print("the warm interpreter that was to run this step has died", file=sys.stderr)
        return 1
    return status[0]


def _forward_signals(pid: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(pid, number)

    for number in _FORWARDED:
        signal.signal(number, forward)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
