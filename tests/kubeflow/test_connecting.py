"""The way to Kubeflow: where it is, being let in, and what is said when it does not answer."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from components.shared.errors import StepFailed, UserError
from pipelines.kubeflow import connecting
from pipelines.kubeflow.connecting import Patience, connect
from pipelines.kubeflow.place import find_place
from tests.kubeflow.server import Fault, Kubeflow

BRIEF = Patience(first_contact_s=0.1, outage_s=0.1)


def refusal(
    server: Kubeflow,
    kind: type[Exception] = UserError,
    url: str | None = None,
    patience: Patience = BRIEF,
) -> str:
    with pytest.raises(kind) as refused:
        connect(url or server.url, None, patience)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_without_an_endpoint_it_is_said_how_to_give_one():
    with pytest.raises(UserError, match="give --endpoint, or set KFP_ENDPOINT"):
        find_place(None, None)


def test_in_a_pod_it_is_the_one_of_the_cluster(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    assert find_place(None, None).endpoint.startswith("http://ml-pipeline.kubeflow.svc.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ftp://kubeflow", "is not the URL of a server"),
        ("https://me:secret@kubeflow", "holds a user or password"),
        ("https://:secret@kubeflow", "holds a user or password"),
        ("https://kubeflow/pipeline/#/runs", "leave out what begins with # or"),
        ("http://kubeflow:port", "is not the URL of a server"),
        ("http://[::1", "is not the URL of a server"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(given, message):
    with pytest.raises(UserError, match=message) as refused:
        find_place(given, None)

    assert "secret" not in str(refused.value)


def test_a_projected_token_is_sent_and_read_again_when_it_was_rotated(
    kubeflow, monkeypatch, tmp_path
):
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    kubeflow.tokens = {"first"}
    found = connect(None, None, BRIEF)

    kubeflow.tokens = {"second"}
    file.write_text("second\n")
    found.ask(found.experiments.experiment_service_list_experiments)

    sent = [request.authorization for request in kubeflow.requests]
    assert sent == ["Bearer first", "Bearer second"]


def test_a_token_of_the_environment_is_sent(kubeflow, monkeypatch):
    monkeypatch.setenv("KFP_EXISTING_TOKEN", "mine")
    kubeflow.tokens = {"mine"}

    connect(None, None, BRIEF)


def test_what_cannot_be_a_token_is_refused_without_showing_it(kubeflow, monkeypatch):
    for given in ("mine\nof two lines", "mïne"):
        monkeypatch.setenv("KFP_EXISTING_TOKEN", given)
        assert "mïne" not in (told := refusal(kubeflow))
        assert told.startswith("KFP_EXISTING_TOKEN is no token")
        assert "of two" not in told

    monkeypatch.setenv("KFP_EXISTING_TOKEN", "mine\n")  # as a secret that was pasted ends
    kubeflow.tokens = {"mine"}
    connect(None, None, BRIEF)


def test_401_says_which_credentials_to_look_at(kubeflow, monkeypatch, tmp_path):
    kubeflow.tokens = {"good"}
    assert "set KFP_EXISTING_TOKEN" in refusal(kubeflow)

    (tmp_path / "token").write_text("bad")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    assert "audience pipelines.kubeflow.org" in refusal(kubeflow)

    monkeypatch.setenv("KFP_EXISTING_TOKEN", "bad")
    told = refusal(kubeflow)
    assert "KFP_EXISTING_TOKEN has expired" in told
    assert "bad" not in told.replace("Bad", "")


def test_403_says_what_the_account_needs(kubeflow):
    kubeflow.faults = [Fault("*", "403", message="User is not authorized")]

    told = refusal(kubeflow)

    assert "(403: User is not authorized)" in told
    assert "rights on pipelines.kubeflow.org" in told


@pytest.mark.parametrize("path", ["/elsewhere", "/apis"])
def test_something_else_that_answers_is_not_kubeflow(kubeflow, path):
    told = refusal(kubeflow, url=kubeflow.url + path)

    assert "is not the API of Kubeflow Pipelines 2 (404)" in told


@pytest.mark.parametrize(
    ("kind", "text"), [("page", "<html>Log in"), ("page", "<html>Für alle"), ("302", "")]
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_login_page_is_not_kubeflow(kubeflow, kind, text, after):
    kubeflow.faults = [Fault("*", kind, message=text, skip=after)]

    def look() -> None:
        found = connect(None, None, BRIEF)
        found.ask(found.runs.run_service_list_runs)

    with pytest.raises(UserError, match="whether a login stands before it"):
        look()


def test_an_installation_of_several_users_wants_a_namespace(kubeflow, monkeypatch):
    kubeflow.multi_user = True
    assert "say with --namespace or KFP_NAMESPACE" in refusal(kubeflow)

    monkeypatch.setenv("KFP_NAMESPACE", "team")
    assert connect(None, None, BRIEF).namespace == "team"
    assert connect(None, "other", BRIEF).namespace == "other"


def test_nothing_that_listens_is_an_outage(kubeflow):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    assert "nothing listens there" in refusal(kubeflow, StepFailed, url)


def test_no_host_of_that_name_is_an_outage(kubeflow):
    told = refusal(kubeflow, StepFailed, "http://kubeflow.invalid")

    assert "there is no host of that name" in told


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("500", "it answered 500: scripted; see the log of ml-pipeline"),
        ("drop", "it closed the connection without an answer"),
    ],
)
def test_an_outage_is_told_after_it_was_tried_again(kubeflow, kind, message):
    kubeflow.faults = [Fault("*", kind, times=-1)]

    assert message in refusal(kubeflow, StepFailed, patience=Patience(3, 3))
    assert len(kubeflow.requests) > 1


def test_an_answer_that_takes_too_long_is_an_outage(kubeflow, monkeypatch):
    monkeypatch.setattr(connecting, "_TIMEOUT_S", (1, 0.2))
    kubeflow.faults = [Fault("*", "hang", times=-1, message="0.5")]

    assert "no answer in time" in refusal(kubeflow, StepFailed)


def test_a_proxy_of_the_environment_is_used_but_not_where_it_is_excepted(kubeflow, monkeypatch):
    monkeypatch.setenv("http_proxy", kubeflow.url)
    monkeypatch.setenv("no_proxy", "")
    assert find_place("http://kubeflow.invalid", None).proxy == kubeflow.url

    monkeypatch.setenv("no_proxy", "kubeflow.invalid")
    assert find_place("http://kubeflow.invalid", None).proxy is None


@pytest.fixture
def tls(tmp_path: Path):
    """A server with a certificate that nobody has signed; its URL and the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*request, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    body = b'{"multi_user": false}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    answer = head + b"content-length: %d\r\n\r\n" % len(body) + body

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(65536)
                    secured.sendall(answer)
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", certificate
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_certificate_that_is_not_trusted_can_be(kubeflow, tls, monkeypatch):
    url, certificate = tls
    told = refusal(kubeflow, url=url)
    assert "is not trusted (self-signed certificate" in told
    assert "set SSL_CERT_FILE" in told

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connect(url, None, BRIEF)


def test_a_server_without_tls_is_told_from_one_with_a_bad_certificate(kubeflow):
    told = refusal(kubeflow, url=kubeflow.url.replace("http://", "https://"))

    assert "does not speak TLS; should the endpoint be http://?" in told


def test_certificates_that_cannot_be_used_are_named(kubeflow, monkeypatch, tmp_path):
    file = tmp_path / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert refusal(kubeflow) == f"SSL_CERT_FILE {file}: No such file or directory"

    file.write_text("something else")
    assert "authority.pem: " in refusal(kubeflow)
