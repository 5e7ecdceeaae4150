"""What went wrong between here and Kubeflow, in a line that says what to do about it."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import urllib3.exceptions as network

from components.shared.errors import StepFailed, UserError
from pipelines.kubeflow.place import Place

_MESSAGE_LENGTH = 300


class Unanswered(StepFailed):
    """No usable answer; the same request may succeed later, and may have been carried out."""


class Missing(StepFailed):
    """Kubeflow has no such thing (404)."""


class Taken(StepFailed):
    """There is such a thing already (409)."""


class Refused(UserError):  # noqa: N818 - reads as an event
    """Kubeflow will not do it, however often it is asked."""


_BY_STATUS = {404: Missing, 409: Taken}


def failure_of(error: Exception, place: Place) -> Exception | None:
    """An exception of the client as one of this module; null for a bug, which is left as it is."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError | network.SSLError):
            return Refused(_tls(cause, place))
        if isinstance(cause, network.HTTPError):
            return Unanswered(f"Kubeflow at {place.endpoint}: {_network(cause, place)}")
        status = getattr(cause, "status", None)
        if isinstance(status, int):
            if status == 0:
                return Refused(_tls(cause, place))
            return _answer(status, getattr(cause, "body", None), place)
    if isinstance(error, UnicodeDecodeError):
        return not_kubeflow(place, "its answer is no UTF-8")
    return None


def is_object(body: str) -> bool:
    """Whether an answer is what Kubeflow answers with: a JSON object."""
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def not_kubeflow(place: Place, what: str) -> Refused:
    """Something else answers at the endpoint."""
    return Refused(
        f"what answers at {place.endpoint} is not the API of Kubeflow Pipelines 2 ({what}); check "
        "host and path of the endpoint, and whether a login stands before it"
    )


def _answer(status: int, body: str | None, place: Place) -> Exception:
    said = _said(body)
    at = f"Kubeflow at {place.endpoint}"
    if status == 401:
        return Refused(f"{at}: {_credentials(place)}")
    if status == 403:
        return Refused(
            f"{at}: the account may not do this (403{_because(said)}); on an installation of "
            "several users it needs a role with rights on pipelines.kubeflow.org in the "
            "namespace, see manifests/"
        )
    if 300 <= status < 400 or (status == 404 and not said):
        return not_kubeflow(place, str(status))
    if status in _BY_STATUS:
        return _BY_STATUS[status](f"{at}: {said or status}")
    if status == 429 or status >= 500:
        return Unanswered(f"{at}: it answered {status}{_because(said)}; see the log of ml-pipeline")
    return Refused(f"{at}: it does not accept the request ({status}{_because(said)})")


def _credentials(place: Place) -> str:
    if place.token:
        return "it refused the token (401); KFP_EXISTING_TOKEN has expired or is for another one"
    if place.token_file:
        return (
            f"it refused the token of {place.token_file} (401); the volume has to project one "
            "with the audience pipelines.kubeflow.org"
        )
    return (
        "it asks for credentials (401); set KFP_EXISTING_TOKEN, or in a pod mount a projected "
        "token and name its file in KF_PIPELINES_SA_TOKEN_PATH"
    )


def _network(cause: network.HTTPError, place: Place) -> str:
    if isinstance(cause, network.ProxyError):
        return "the proxy of HTTPS_PROXY or HTTP_PROXY does not answer, or refused"
    if isinstance(cause, network.NameResolutionError):
        return "there is no host of that name; check the endpoint"
    if isinstance(cause, network.NewConnectionError):
        return "nothing listens there; check that it is up, and host and port of the endpoint"
    if isinstance(cause, network.TimeoutError):
        return "no answer in time; it is too busy, or something on the way swallows what is sent"
    hint = "" if place.endpoint.startswith("https") else ", and whether it wants https://"
    return f"it closed the connection without an answer; see the log of ml-pipeline{hint}"


def _tls(cause: BaseException, place: Place) -> str:
    text = str(cause)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return (
            f"the TLS certificate of {place.endpoint} is not trusted ({_why(text)}); set "
            "SSL_CERT_FILE to a file with the certificate of its authority"
        )
    return f"{place.endpoint} does not speak TLS; should the endpoint be http://?"


def _why(text: str) -> str:
    return text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "unknown"


def _said(body: str | None) -> str:
    """What Kubeflow says of an error; empty where it is not Kubeflow that answered."""
    try:
        answer: Any = json.loads(body or "")
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    text = answer.get("message") or answer.get("error_message") or answer.get("error") or ""
    line = " ".join(str(text).split())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"


def _because(said: str) -> str:
    return f": {said}" if said else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the innermost reasons that urllib3 wraps included."""
    found: BaseException | None = error
    while found is not None:
        reason = getattr(found, "reason", None)
        if isinstance(found, network.MaxRetryError) and isinstance(reason, Exception):
            yield from _chain(reason)
        yield found
        found = found.__cause__ or found.__context__
