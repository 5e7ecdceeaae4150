"""Making things once: what is found, what is asked for again, and what is not."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import retrying
from components.registration.locking.lock import LockLost
from components.registration.outages import Unanswered
from components.registration.retrying import create_once, single_attempt, write_in_turn
from tests.servers.processes import HOST

RETRIES = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
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
            leave.wait(300)

    thread = threading.Thread(target=other)
    with single_attempt():
        thread.start()
        assert inside.wait(300)
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0
    leave.set()
    thread.join(300)
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
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", 1.0)
    done = threading.Event()
    server.reply = lambda _: done.wait(600) and None

    with pytest.raises(Unanswered):
        create_once(lambda: None, server.create)
    done.set()

    assert server.requests == 1


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def time_out_at_the_gateway(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(504)


def test_write_that_fails_is_repeated_while_the_lock_is_held(server):
    checks: list[int] = []

    with pytest.raises(MlflowException):
        write_in_turn(server.create, lambda: False, lambda: checks.append(server.requests))

    assert checks == [0, 1, 2]
    assert server.requests == 1 + RETRIES


@pytest.mark.parametrize("reply", [cut, time_out_at_the_gateway])
def test_write_without_an_answer_is_done_once_it_shows(server, reply):
    server.reply = reply
    looks = iter([False, True])

    write_in_turn(server.create, lambda: next(looks), lambda: None)

    assert server.requests == 1


def test_write_whose_connection_was_cut_is_repeated_once_it_was_waited_for(server, monkeypatch):
    """The server may have been restarted."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", 1.0)
    server.reply = cut
    looks: list[int] = []

    with pytest.raises(MlflowException):
        write_in_turn(server.create, lambda: looks.append(server.requests) or False, lambda: None)

    assert server.requests == 1 + RETRIES
    assert set(looks) == {1, 2, 3}


def test_write_that_times_out_and_does_not_show_is_not_repeated(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", 1.0)
    server.reply = time_out_at_the_gateway

    with pytest.raises(Unanswered):
        write_in_turn(server.create, lambda: False, lambda: None)

    assert server.requests == 1


def test_nothing_is_written_once_the_lock_is_lost(server):
    def lost() -> None:
        raise LockLost("its file was deleted")

    with pytest.raises(LockLost):
        write_in_turn(server.create, lambda: False, lost)

    assert server.requests == 0


def test_interrupted_write_is_waited_for(server, caplog):
    """Ctrl-C while the server does not answer: the lock must not be given back at once."""
    looks = iter([False, True])

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_in_turn(interrupted, lambda: next(looks), lambda: None)

    assert next(looks, None) is None
    assert "interrupt again to leave at once" in caplog.text
