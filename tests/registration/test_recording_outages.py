"""What is said when MLflow cannot be used: one line, what to do, no credentials, in time."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import botocore.exceptions
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow.exceptions import MlflowException

from components.registration.client import TrackingError, clear_errors, connect
from components.registration.outages import explain, is_outage
from components.registration.store import Store, locate
from tests.servers.processes import HOST, free_ports

HIDDEN = "do-not-tell"
Reply = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    for name in ("USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def answer(status: int, body: str = "", content_type: str = "text/html") -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return reply


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@contextmanager
def server(reply: Reply, certificate: Path | None = None) -> Iterator[str]:
    """A server that answers everything alike; the URI's host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    listening = ThreadingHTTPServer((HOST, 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"{HOST}:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()


def failure(uri: str) -> str:
    """The error when one connects to a URI."""
    store = locate(uri)
    with pytest.raises(TrackingError) as caught, clear_errors(store):
        connect(store)
    message = str(caught.value)
    assert message.startswith(f"MLflow at {store.public_uri}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message


NOT_FOUND = '{"detail": "Not Found"}'


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer(404, "<h1>nginx</h1>"), "not the API of MLflow 3 (404); check the path"),
        (answer(404, NOT_FOUND, "application/json"), "not the API of MLflow 3 (404)"),
        (answer(403, "Permission denied"), "(403); it needs the permission EDIT"),
        (answer(200, "<form>log in</form>"), "a page came back instead of data"),
        (answer(500), "it answered 500, at 2 attempts; see the server's log"),
        (answer(503), "it answered 503, at 2 attempts"),
        (hang_up, "it closed the connection without an answer, at 2 attempts"),
    ],
)
def test_answer_that_is_of_no_use_is_explained(reply: Reply, expected: str) -> None:
    with server(reply) as address:
        assert expected in failure(f"http://{address}/somewhere")


def test_server_that_is_down_is_explained() -> None:
    assert "nothing listens there" in failure(f"http://{HOST}:{free_ports(1)[0]}")


def test_server_that_never_answers_is_given_up_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    released = threading.Event()
    started = time.monotonic()

    with server(lambda _: released.wait(600) and None) as address:
        message = failure(f"http://{address}")
        released.set()

    assert "no answer within 1 s, at 2 attempts" in message
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" in message
    assert time.monotonic() - started < 300


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ([], "asks for credentials (401); set MLFLOW_TRACKING_USERNAME and"),
        (["USERNAME", "PASSWORD"], "refused the credentials (401); check MLFLOW_TRACKING_USERNAME"),
        (["TOKEN"], "refused the credentials (401); check MLFLOW_TRACKING_TOKEN"),
    ],
)
def test_refused_credentials_name_the_variables_and_not_their_values(
    variables: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables:
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", HIDDEN)

    with server(answer(401, "You are not authenticated.")) as address:
        message = failure(f"http://{address}")

    assert expected in message
    assert HIDDEN not in message


@pytest.mark.parametrize("reply", [answer(401), answer(500), answer(404), hang_up])
def test_credentials_in_the_uri_are_never_told(
    reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(reply) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:{HIDDEN}@{address}")
        message = failure("")

    assert HIDDEN not in message
    assert "user" not in message.partition(": ")[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and a certificate for another host that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificate_of_an_unknown_authority_is_explained(certificate: Path) -> None:
    with server(answer(200), certificate) as address:
        message = failure(f"https://{address}")

    assert "its TLS certificate is not trusted (self-signed certificate)" in message
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in message


def test_https_where_only_http_is_spoken_is_explained() -> None:
    with server(answer(200)) as address:
        assert "should be http://" in failure(f"https://{address}")


def test_artifact_store_that_refuses_is_explained() -> None:
    denied = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
    error = botocore.exceptions.ClientError(denied, "PutObject")

    assert is_outage(error)
    assert "AccessDenied" in explain(error)
    assert "AWS_SECRET_ACCESS_KEY" in explain(error)


def test_long_message_of_the_server_is_cut_to_one_line() -> None:
    assert len(explain(MlflowException("line\n" * 1000))) == 301


def test_error_that_is_not_of_mlflow_passes() -> None:
    with pytest.raises(ZeroDivisionError), clear_errors(Store("http://mlflow", None)):
        raise ZeroDivisionError
