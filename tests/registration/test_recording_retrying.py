"""Making things once: what is found, what is asked for again, and what is not."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import retrying
from components.registration.outages import Unanswered
from components.registration.retrying import create_once, single_attempt
from tests.servers.processes import HOST

RETRIES = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(RETRIES))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")


class Server:
    """Counts requests, and answers none of them with success."""

    def __init__(self) -> None:
        self.requests = 0
        self.reply: Callable[[BaseHTTPRequestHandler], None] = lambda h: h.send_error(500)

    def create(self) -> str:
        return MlflowClient(self.uri).create_experiment("once")

    def serve(self) -> ThreadingHTTPServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.requests += 1
                outer.reply(self)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        listening = ThreadingHTTPServer((HOST, 0), Handler)
        self.uri = f"http://{HOST}:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        return listening


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    listening = found.serve()
    yield found
    listening.shutdown()
    listening.server_close()


def test_client_repeats_a_request_but_not_in_a_block(server):
    with pytest.raises(MlflowException):
        server.create()
    assert server.requests == 1 + RETRIES

    with single_attempt(), pytest.raises(MlflowException):
        server.create()
    assert server.requests == 2 + RETRIES


def test_setting_is_restored_when_the_last_of_several_threads_is_done():
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with single_attempt():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with single_attempt():
        thread.start()
        assert inside.wait(10)
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0
    leave.set()
    thread.join(10)
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == RETRIES


def test_setting_that_was_not_there_is_not_there_afterwards(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    before = MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()

    with single_attempt():
        assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0

    assert not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set()
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == before


def test_what_is_there_is_not_asked_for(server):
    assert create_once(lambda: "there", server.create) == "there"
    assert server.requests == 0


def test_request_that_is_refused_is_asked_for_as_often_as_a_client_may(server):
    with pytest.raises(MlflowException):
        create_once(lambda: None, server.create)

    assert server.requests == 1 + RETRIES


def test_thing_that_a_lost_answer_left_is_found(server):
    found = create_once(lambda: "made" if server.requests else None, server.create)

    assert (found, server.requests) == ("made", 1)


def test_what_another_attempt_made_at_the_same_moment_is_preferred():
    made: list[str] = []

    def create() -> str:
        made.extend(["older", "newer"])
        return "newer"

    assert create_once(lambda: made[0] if made else None, create) == "older"


def test_request_that_can_not_succeed_is_not_repeated(server):
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        body = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"}'
        handler.send_response(400)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    server.reply = refuse
    with pytest.raises(MlflowException, match="no such thing"):
        create_once(lambda: None, server.create)

    assert server.requests == 1


def test_request_without_an_answer_is_waited_for_and_not_sent_again(server, monkeypatch):
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", 1.0)
    done = threading.Event()
    server.reply = lambda _: done.wait(20) and None

    with pytest.raises(Unanswered):
        create_once(lambda: None, server.create)
    done.set()

    assert server.requests == 1
