"""An HTTP proxy that counts the calls to a server, and breaks those that it is told to break."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from tests.servers.processes import HOST

_UPSTREAM_TIMEOUT_S = 60.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te"}
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Fault(StrEnum):
    """What can happen to a call."""

    REFUSE = "refuse"
    """The connection is closed without an answer; the server never sees the call."""
    ERROR = "error"
    """Answered with 500; the server never sees the call."""
    LOST = "lost"
    """The server does what it was asked to; the client gets a 500."""
    CUT = "cut"
    """The server does what it was asked to; the client gets half of the answer."""
    FLIP = "flip"
    """The server does what it was asked to; one byte in the middle of its answer is another."""
    SLOW = "slow"
    """The client gives up waiting, and the server sees the call after that."""


class Call(NamedTuple):
    """One request, in the order of arrival."""

    method: str
    path: str
    """Without the query."""


class Answer(NamedTuple):
    """A response of the server, whole."""

    status: int
    reason: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class _Plan:
    fault: Fault
    at: int
    lasting: bool
    announce: Callable[[], None] | None

    def hits(self, number: int) -> bool:
        return number >= self.at if self.lasting else number == self.at

    def arrived(self, number: int) -> None:
        if self.announce is not None and number == self.at - 1:
            self.announce()


class FaultProxy:
    """The proxy's controls, for the thread of the test."""

    def __init__(self, target: str, delay_s: float) -> None:
        parts = urlsplit(target)
        self._target = (cast(str, parts.hostname), cast(int, parts.port))
        self._delay_s = delay_s
        self._plan: _Plan | None = None
        self._calls: list[Call] = []
        self._failed: list[Call] = []
        self._in_progress = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._released = threading.Event()
        self._server = _Server((HOST, 0), self)

    @property
    def uri(self) -> str:
        """What a client uses instead of the server's own."""
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def calls(self) -> list[Call]:
        """All calls since the last :meth:`record`, broken ones included."""
        with self._changed:
            return list(self._calls)

    @property
    def failed(self) -> list[Call]:
        """Those of them that were broken."""
        with self._changed:
            return list(self._failed)

    def inject(
        self,
        fault: Fault,
        *,
        at: int,
        lasting: bool = False,
        announce: Callable[[], None] | None = None,
    ) -> None:
        """Break a call.

        Args:
            fault: how.
            at: which: 1 for the next one. The record starts anew.
            lasting: whether all later calls are broken too, until :meth:`heal`.
            announce: called when the next call is the one, and the one before it has no answer yet.
        """
        self._released.clear()
        with self._changed:
            self._plan = _Plan(fault, at, lasting, announce)
            self._plan.arrived(0)
            self.record()

    def record(self) -> None:
        """Start the record of calls anew."""
        with self._changed:
            self._calls.clear()
            self._failed.clear()

    def heal(self) -> None:
        """Break nothing any more; the record goes on."""
        with self._changed:
            self._plan = None

    def release(self) -> None:
        """Let the slow calls reach the server now."""
        self._released.set()

    def wait_until_idle(self, timeout_s: float = 30.0) -> None:
        """Wait for calls that clients have given up and the server may still get.

        Raises:
            TimeoutError: some are still in progress.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._in_progress == 0, timeout_s):
                raise TimeoutError(f"{self._in_progress} calls are still in progress")

    def _start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _close(self) -> None:
        self._closing.set()
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _arrive(self, call: Call) -> Fault | None:
        with self._changed:
            self._in_progress += 1
            self._calls.append(call)
            if self._plan is None:
                return None
            self._plan.arrived(len(self._calls))
            if not self._plan.hits(len(self._calls)):
                return None
            self._failed.append(call)
            return self._plan.fault

    def _leave(self) -> None:
        with self._changed:
            self._in_progress -= 1
            self._changed.notify_all()

    def _forward(self, handler: "_Handler", body: bytes) -> Answer:
        """One connection for each call: an idle one could be closed by the server meanwhile."""
        connection = HTTPConnection(*self._target, timeout=_UPSTREAM_TIMEOUT_S)
        try:
            connection.putrequest(
                handler.command, handler.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in _passed_on(handler.headers):
                connection.putheader(name, value)
            if body or "Content-Length" in handler.headers:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.headers, response.read())
        finally:
            connection.close()


@contextmanager
def fault_proxy(target: str, delay_s: float = 3.0) -> Iterator[FaultProxy]:
    """Run a proxy for the block.

    Args:
        target: URI of the server, as in ``http://127.0.0.1:5000``.
        delay_s: how long a slow call waits; longer than the client's timeout.
    """
    proxy = FaultProxy(target, delay_s)
    proxy._start()
    try:
        yield proxy
    finally:
        proxy._close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have gone away are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """The record of calls is enough."""

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self._read_body()
        fault = proxy._arrive(Call(self.command, urlsplit(self.path).path))
        try:
            self._answer(proxy, fault, body)
        finally:
            proxy._leave()

    def _answer(self, proxy: FaultProxy, fault: Fault | None, body: bytes) -> None:
        if fault is Fault.REFUSE:
            self._hang_up()
            return
        if fault is Fault.ERROR:
            self._send_failure()
            return
        if fault is Fault.SLOW:
            proxy._released.wait(proxy._delay_s)
            if proxy._closing.is_set():
                self._hang_up()
                return
        try:
            answer = proxy._forward(self, body)
        except (OSError, HTTPException):
            self._hang_up()  # the server itself is down
            return
        if fault is Fault.LOST:
            self._send_failure()
            return
        head, content = self._compose(answer)
        if fault is Fault.FLIP and content:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if fault is Fault.CUT:
            self.wfile.write(head + content[: len(content) // 2] if content else head[:-4])
            self._hang_up()
            return
        self.wfile.write(head + content)

    def _compose(self, answer: Answer) -> tuple[bytes, bytes]:
        lines = [f"{self.protocol_version} {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in _passed_on(answer.headers)]
        if answer.status not in _WITHOUT_BODY:
            told = answer.headers.get("Content-Length") if self.command == "HEAD" else None
            lines.append(f"Content-Length: {told or len(answer.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1"), answer.body

    def _send_failure(self) -> None:
        self.send_response(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers


def _passed_on(headers: Message) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]
