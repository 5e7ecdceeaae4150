"""What went wrong between here and MLflow, in a line that says what to do about it."""

import os
import re
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import MlflowException, RestException

_MESSAGE_LENGTH = 300
_GATEWAY_TIMEOUT = "504"
_FOREIGN = {"boto3", "botocore", "sqlalchemy"}
"""Libraries below MLflow, whose errors it lets through; not all are installed everywhere."""
_REFUSED = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}


class Unanswered(Exception):  # noqa: N818 - reads as an event
    """A request got no answer, and what it should have made has not turned up."""


def is_outage(error: Exception) -> bool:
    """Whether an error is MLflow's, its network's, its disk's or its artifact store's."""
    return isinstance(error, MlflowException | OSError | Unanswered) or _library(error) in _FOREIGN


def is_unanswered(error: Exception) -> bool:
    """Whether a request that was sent got no answer in time, so that it may still be under way."""
    for cause in _chain(error):
        if isinstance(cause, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return True
        if isinstance(cause, requests.exceptions.RetryError) and _status(cause) == _GATEWAY_TIMEOUT:
            return True
    return False


def is_cut(error: Exception) -> bool:
    """Whether the connection was lost after a request was sent, so that it may have arrived."""
    return any(
        isinstance(cause, requests.exceptions.ConnectionError)
        and not isinstance(_reason(cause), urllib3.exceptions.NewConnectionError)
        and not isinstance(cause, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError)
        for cause in _chain(error)
    )


def explain(error: Exception) -> str:
    """An error of :func:`is_outage` in one line, without anything that the server's URI holds."""
    causes = list(_chain(error))
    for cause in causes:
        told = _network(cause)
        if told is not None:
            return told
    if _library(error) in {"boto3", "botocore"}:
        return _artifact_store(error)
    told = _answer(error) if isinstance(error, MlflowException) else None
    return told or _shortened(str(error))


def _network(cause: BaseException) -> str | None:
    """What happened before there was an answer, or when all answers were failures."""
    if isinstance(cause, requests.exceptions.SSLError):
        return _tls(cause)
    reason = _reason(cause)
    if isinstance(cause, requests.exceptions.Timeout) or _is_timeout(reason):
        return (
            f"no answer within {MLFLOW_HTTP_REQUEST_TIMEOUT.get()} s, {_attempts()}; it is too "
            "busy, or something on the way swallows what is sent; MLFLOW_HTTP_REQUEST_TIMEOUT "
            "(seconds) makes it wait longer"
        )
    if isinstance(cause, requests.exceptions.RetryError):
        return (
            f"it answered {_status(cause) or 'with an error'}, {_attempts()}; see the "
            "server's log, and run again when it has recovered"
        )
    if isinstance(cause, requests.exceptions.ConnectionError):
        return _connection(reason)
    return None


def _is_timeout(reason: BaseException | None) -> bool:
    # urllib3 counts a connection that was refused among those that took too long.
    refused = isinstance(reason, urllib3.exceptions.NewConnectionError)
    return isinstance(reason, urllib3.exceptions.TimeoutError) and not refused


def _connection(reason: BaseException | None) -> str:
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "there is no host of that name; check the tracking URI"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return (
            "nothing listens there; check that the server is up, and host and port of the "
            "tracking URI"
        )
    return (
        f"it closed the connection without an answer, {_attempts()}; see the server's log, and "
        "whether it wants https:// instead of http://"
    )


def _tls(error: requests.exceptions.SSLError) -> str:
    found = next((c for c in _chain(error) if isinstance(c, ssl.SSLCertVerificationError)), None)
    if found is None and "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return "it does not speak TLS there; check whether the tracking URI should be http://"
    why = found.verify_message if found else "it cannot be verified"
    return (
        f"its TLS certificate is not trusted ({why}); set MLFLOW_TRACKING_SERVER_CERT_PATH to a "
        "file with the certificate of its authority"
    )


def _answer(error: MlflowException) -> str | None:
    """What an answer of the server, or of something before it, means."""
    if error.error_code in _REFUSED:
        return _credentials()
    if error.error_code == "PERMISSION_DENIED":
        return (
            "the account may not do this (403); it needs the permission EDIT on the experiment and "
            "on the registered model"
        )
    foreign = isinstance(error, RestException) and "error_code" not in error.json
    if error.error_code == "ENDPOINT_NOT_FOUND" or foreign:
        return (
            "what answers there is not the API of MLflow 3 (404); check the path of the tracking "
            "URI, and the server's version"
        )
    if "not in a valid JSON format" in error.message:
        return (
            "a page came back instead of data; check the tracking URI, and whether a login stands "
            "before the server"
        )
    return None


def _credentials() -> str:
    """Which variables to look at; their values are nobody's business."""
    if os.environ.get("MLFLOW_TRACKING_USERNAME"):
        return (
            "it refused the credentials (401); check MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    if os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return "it refused the credentials (401); check MLFLOW_TRACKING_TOKEN"
    return (
        "it asks for credentials (401); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
        "or MLFLOW_TRACKING_TOKEN"
    )


def _artifact_store(error: Exception) -> str:
    return (
        f"its artifact store: {_shortened(str(error))}; check AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY, MLFLOW_S3_ENDPOINT_URL, and the rights to the bucket"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came from: MLflow keeps only the text of most of its causes."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        found = pending.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        pending += [found.__cause__, found.__context__]
        pending += [argument for argument in found.args if isinstance(argument, BaseException)]
        pending.append(_reason(found))


def _reason(cause: BaseException) -> BaseException | None:
    """Why urllib3 gave up, inside of what requests raises."""
    wrapped = next(
        (a for a in cause.args if isinstance(a, urllib3.exceptions.MaxRetryError)),
        cause if isinstance(cause, urllib3.exceptions.MaxRetryError) else None,
    )
    return wrapped.reason if wrapped else None


def _status(cause: requests.exceptions.RetryError) -> str | None:
    """The HTTP status of the answers that were given up on; it is only told in words."""
    found = re.search(r"\b\d{3}\b", str(_reason(cause)))
    return found[0] if found else None


def _attempts() -> str:
    retries = MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    return f"at {retries + 1} attempts" if retries else "at one attempt"


def _library(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"
