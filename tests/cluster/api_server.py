"""A Kubernetes API server on this machine, for as long as a test session."""

import os
import secrets
import subprocess
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes.client import (
    ApiClient,
    ApiException,
    Configuration,
    CoreV1Api,
    RbacAuthorizationV1Api,
)
from urllib3.exceptions import HTTPError

from tests.servers.processes import free_ports

READY_S = 180
DEFAULT_ASSETS = Path.home() / ".cache" / "kubedistill" / "kube-apiserver-1.20.2"


class ApiServer:
    """etcd and kube-apiserver, with RBAC, service account tokens, and an administrator."""

    def __init__(self, folder: Path) -> None:
        """Name ports and write keys; nothing is started.

        Args:
            folder: for data, keys and logs.
        """
        self.folder = folder
        self.token = secrets.token_hex()
        self.slowest_start_s = 0.0
        self._assets = find_assets()
        self._etcd_port, self._peer_port, self.port = free_ports(3)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        (folder / "service-accounts.pem").write_bytes(private_key())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """What clients check the server's certificate with: it signed its own."""
        return self.folder / "certificates" / "apiserver.crt"

    def start(self) -> None:
        """Start what is not running, and wait until it is ready."""
        started = time.monotonic()
        peers = f"http://127.0.0.1:{self._peer_port}"
        self._start(
            "etcd",
            data_dir=self.folder / "etcd",
            listen_client_urls=self._etcd,
            advertise_client_urls=self._etcd,
            listen_peer_urls=peers,
            initial_advertise_peer_urls=peers,
            initial_cluster=f"default={peers}",
            unsafe_no_fsync=True,  # what is written need not outlive the machine
        )
        self._start(
            "kube-apiserver",
            etcd_servers=self._etcd,
            bind_address="127.0.0.1",
            secure_port=self.port,
            cert_dir=self.folder / "certificates",
            authorization_mode="RBAC",
            token_auth_file=self.folder / "tokens.csv",
            service_account_issuer="https://kubernetes.default.svc",
            service_account_key_file=self.folder / "service-accounts.pem",
            service_account_signing_key_file=self.folder / "service-accounts.pem",
            service_cluster_ip_range="10.0.0.0/24",
        )
        self._wait()
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - started)

    def kill(self) -> None:
        """End kube-apiserver as a crash does; what it stored stays in etcd."""
        self._end("kube-apiserver")

    def stop(self) -> None:
        """End all."""
        for program in reversed(list(self._running)):
            self._end(program)

    def client(self, token: str | None = None) -> ApiClient:
        """A client of the administrator, or of whoever has the token."""
        configuration = Configuration()
        configuration.host = self.url
        configuration.ssl_ca_cert = str(self.certificate)
        configuration.api_key = {"authorization": f"Bearer {token or self.token}"}
        configuration.retries = 0
        return ApiClient(configuration)

    def log(self, program: str) -> Path:
        return self.folder / f"{program}.log"

    @property
    def _etcd(self) -> str:
        return f"http://127.0.0.1:{self._etcd_port}"

    def _start(self, program: str, **flags: object) -> None:
        if program in self._running:
            return
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        with self.log(program).open("ab") as log:
            self._running[program] = subprocess.Popen(
                [self._assets / program, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def _end(self, program: str) -> None:
        process = self._running.pop(program)
        process.kill()
        process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            for program, process in self._running.items():
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = self.log(program).read_text()[-3000:]
                    raise RuntimeError(f"{program} is not ready (status {process.poll()}): {tail}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        """Ready, and the roles and the namespace that every cluster has are there."""
        if not self.certificate.exists():
            return False
        client = self.client()
        try:
            client.call_api("/readyz", "GET", auth_settings=["BearerToken"], _request_timeout=2)
            RbacAuthorizationV1Api(client).read_cluster_role("system:basic-user")
            CoreV1Api(client).read_namespace("default")
        except (ApiException, HTTPError, OSError):
            return False
        return True


def find_assets() -> Path:
    """The folder with the programs, as controller-runtime's envtest has it."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS") or DEFAULT_ASSETS)
    for program in ("etcd", "kube-apiserver"):
        if not os.access(folder / program, os.X_OK):
            raise RuntimeError(
                f"{folder / program} is not there, which these tests need: run "
                ".ci/kubernetes-api-server, or set KUBEBUILDER_ASSETS to a folder with etcd and "
                "kube-apiserver (`setup-envtest use` downloads one)"
            )
    return folder


def private_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
