"""A kubelet that only has logs: the API server asks it as it asks a node's own."""

import datetime
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.cluster.api_server import private_key

_POLL_S = 0.02


@dataclass
class Log:
    """What a container has said."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False

    def say(self, line: str) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.lines.append((f"{now:%Y-%m-%dT%H:%M:%S.%f}{len(self.lines) % 1000:03d}Z", line))


class Kubelet:
    """On a free port; containers are known by their pod's name."""

    def __init__(self, folder: Path) -> None:
        self.logs: dict[str, Log] = {}
        self.requests: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(folder))
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kubelet.requests.append(self.path)
                url = urlsplit(self.path)
                _, what, _namespace, pod, _container = url.path.split("/")
                assert what == "containerLogs"
                kubelet.answer(self, kubelet.logs[pod], parse_qs(url.query))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._closed = False
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._closed = True
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self, request: BaseHTTPRequestHandler, log: Log, query: dict[str, list[str]]
    ) -> None:
        """As a kubelet does: ``sinceTime`` counts in whole seconds."""
        follow, timestamps = "follow" in query, "timestamps" in query
        since = query.get("sinceTime", [""])[0].rstrip("Z")
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        at = 0
        if "tailLines" in query:
            at = max(0, len(log.lines) - int(query["tailLines"][0]))
        try:
            while True:
                ended = log.ended
                for stamp, line in log.lines[at:]:
                    at += 1
                    if stamp >= since:
                        text = f"{stamp} {line}\n" if timestamps else f"{line}\n"
                        data = text.encode()
                        request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if ended or not follow or self._closed:
                    break
                time.sleep(_POLL_S)
            request.wfile.write(b"0\r\n\r\n")
        except OSError:
            request.close_connection = True


def _certificate(folder: Path) -> Path:
    key = serialization.load_pem_private_key(private_key(), None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "kubelet.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
