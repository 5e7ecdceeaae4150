"""Where Kubeflow is and how to be let in: from options, the environment and the pod."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from components.shared.cluster import SERVICE_ACCOUNT, in_pod
from components.shared.errors import UserError

_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
_TOKEN_FILE = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
_FROM_ENVIRONMENT = ("KFP_ENDPOINT", "KF_PIPELINES_ENDPOINT")


@dataclass(frozen=True)
class Place:
    """An installation of Kubeflow Pipelines, as this process reaches it."""

    endpoint: str
    """URL of the API, without a slash at its end."""
    interface: str
    """URL of its pages, for links."""
    namespace: str | None
    """Where runs are to be, on an installation of several users; null where nothing says so."""
    token: str | None
    token_file: Path | None
    """A projected token; it is read at every request, since the kubelet replaces it."""
    certificates: str | None
    """File with the authorities to trust; null for the usual ones."""
    proxy: str | None

    def run_url(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.interface}/#/runs/details/{run_id}"


def find_place(endpoint: str | None, namespace: str | None) -> Place:
    """What the options say, or else the environment, or else the pod that this process is in.

    Raises:
        UserError: nothing says where Kubeflow is, or what does is not the URL of a server.
    """
    found = endpoint or next(filter(None, map(os.environ.get, _FROM_ENVIRONMENT)), None)
    if found is None and in_pod():
        found = _IN_CLUSTER
    if found is None:
        raise UserError(
            "no Kubeflow: give --endpoint, or set KFP_ENDPOINT, for example to "
            "https://kubeflow.example.com/pipeline"
        )
    url = _checked(found)
    return Place(
        endpoint=url,
        interface=os.environ.get("KF_PIPELINES_UI_ENDPOINT", url).rstrip("/"),
        namespace=namespace or os.environ.get("KFP_NAMESPACE") or None,
        token=_token(),
        token_file=_token_file(),
        certificates=_certificates(),
        proxy=_proxy(url),
    )


def namespace_of_pod() -> str | None:
    """The namespace that this process is in; null outside of a pod."""
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def _checked(given: str) -> str:
    text = given.strip()
    url = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"the endpoint {text} is not the URL of a server, such as https://HOST")
    if "@" in parts.netloc:
        raise UserError(
            "the endpoint holds a user or password, which Kubeflow does not take; "
            "set KFP_EXISTING_TOKEN instead"
        )
    if parts.query or parts.fragment:
        raise UserError(
            f"the endpoint {text} is that of a page; leave out what begins with # or ?, as in "
            "https://kubeflow.example.com/pipeline"
        )
    return url


def _token() -> str | None:
    token = os.environ.get("KFP_EXISTING_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise UserError("KFP_EXISTING_TOKEN is no token: it holds line breaks or letters like é")
    return token or None


def _token_file() -> Path | None:
    named = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
    if named and not Path(named).is_file():
        raise UserError(f"KF_PIPELINES_SA_TOKEN_PATH is {named}, where no file is")
    file = Path(named or _TOKEN_FILE)
    return file if file.is_file() else None


def _certificates() -> str | None:
    file = os.environ.get("SSL_CERT_FILE") or None
    if file is None:
        return None
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # also where there is no certificate in it
        reason = error.strerror or "it holds no certificate"
        raise UserError(f"SSL_CERT_FILE {file}: {reason}") from error
    return file


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
