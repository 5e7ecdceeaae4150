"""Requests to the Kubernetes API, and what their failures mean."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from components.shared.errors import UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECT_S, ANSWER_S = 5.0, 30.0
_MESSAGE_LENGTH = 500


class OutOfReach(Exception):  # noqa: N818 - reads as a fact
    """The API did not answer, or not with sense: asking again may help."""


class Refused(UserError):  # noqa: N818 - reads as a fact
    """The right to is missing, the resource is unknown, the object is not accepted.

    An API server that has just started answers so as well, before it has loaded roles and
    resources.
    """


class Missing(Exception):  # noqa: N818 - reads as a fact
    """There is no such object."""


class Conflict(Exception):  # noqa: N818 - reads as a fact
    """There is one already, or it is not the one that was meant."""


class Outdated(Exception):  # noqa: N818 - reads as a fact
    """The API has forgotten the version that a watch was to go on from."""


_MEANINGS: dict[int, type[Exception]] = {409: Conflict, 410: Outdated}


class Api:
    """The API, in one namespace."""

    def __init__(self, client: "ApiClient", namespace: str) -> None:
        """Nothing is sent.

        Args:
            client: of the cluster; is asked not to retry.
            namespace: of all that is asked for.
        """
        self.namespace = namespace
        self.server = client.configuration.host
        self._client = client

    def send(
        self,
        verb: str,
        path: str,
        *,
        method: str = "GET",
        body: Any = None,
        **query: str | int,
    ) -> dict[str, Any]:
        """The object that the API answers with.

        Args:
            verb: what it is called in a role.
            path: group and version, then the resource and what is below it: ``api/v1``, ``pods``.
            method: of HTTP.
            body: object to send.
            query: parameters.

        Raises:
            OutOfReach: no answer, or none that makes sense.
            Missing: 404 for one object.
            Conflict: 409.
            Refused: as said there.
        """
        with self._meaning(verb, path):
            response = self._call(method, path, body, ANSWER_S, query)
            answer: dict[str, Any] = json.loads(response.data)
            return answer

    def lines(self, verb: str, path: str, *, silence_s: float, **query: str | int) -> Iterator[str]:
        """The lines of an answer, as they come.

        Args:
            verb: what it is called in a role.
            path: as above.
            silence_s: seconds without a byte, after which the connection counts as lost.
            query: parameters.

        Raises:
            OutOfReach: also in the middle of it.
            Outdated: 410.
            Refused: as above.
        """
        with self._meaning(verb, path):
            response = self._call("GET", path, None, silence_s, query)
            try:
                rest = b""
                for piece in response.stream():
                    *whole, rest = (rest + piece).split(b"\n")
                    yield from (line.decode(errors="replace") for line in whole)
                if rest:
                    yield rest.decode(errors="replace")
            finally:
                response.close()

    def _call(
        self, method: str, path: str, body: Any, timeout_s: float, query: dict[str, str | int]
    ) -> Any:
        api, _, resource = path.partition("//")
        return self._client.call_api(
            f"/{api}/namespaces/{self.namespace}/{resource}",
            method,
            query_params=list(query.items()),
            header_params={"Accept": "*/*", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=(CONNECT_S, timeout_s),
        )

    @contextmanager
    def _meaning(self, verb: str, path: str) -> Iterator[None]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError, MaxRetryError

        try:
            yield
        except ApiException as error:
            raise self._explained(verb, path, error) from error
        except (HTTPError, OSError, ValueError) as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            raise OutOfReach(self._at(str(cause))) from error

    def _explained(self, verb: str, path: str, error: Any) -> Exception:
        message, named = _said(error)
        if error.status == 404 and named not in ("", "namespaces"):
            return Missing(message)
        if error.status in _MEANINGS:
            return _MEANINGS[error.status](message)
        advice = self._advice(verb, path, error.status, message, named)
        return Refused(advice) if advice else OutOfReach(self._at(f"{error.status} {message}"))

    def _advice(self, verb: str, path: str, status: int, message: str, named: str) -> str | None:
        """What to do about a refusal; null where time may do it."""
        api, _, resource = path.partition("//")
        plural = "pods/log" if resource.endswith("/log") else resource.partition("/")[0]
        match status:
            case 401:
                return (
                    f"the Kubernetes API at {self.server} does not accept the credentials of this "
                    "step"
                )
            case 403 if f"cannot {verb} resource" in message:
                return (
                    f"the step needs the right to {verb} {plural} ({_group(api)}) in the namespace "
                    f"{self.namespace!r}: {message}; run it under the account kubedistill-pipeline "
                    "of manifests/base (recipe: resources.service_account)"
                )
            case 404 if named:
                return f"there is no namespace {self.namespace!r} at {self.server}"
            case 404:
                return (
                    f"the cluster at {self.server} does not know {plural} ({_group(api)}): install "
                    "Kubeflow Trainer 2.2 or later, which training on several nodes needs"
                )
            case 400 | 403 | 413 | 422:
                old = "unknown field" in message
                advice = "; install Kubeflow Trainer 2.2 or later, which knows it" if old else ""
                return f"the cluster refuses to {verb} {plural}: {message}{advice}"
        return None

    def _at(self, cause: str) -> str:
        return f"the Kubernetes API at {self.server}: {_line(cause)}"


def _said(error: Any) -> tuple[str, str]:
    """What the server said, and the kind of object that it said it of, if it was of one."""
    try:
        status = json.loads(error.body)
        return _line(str(status["message"])), str((status.get("details") or {}).get("kind", ""))
    except (ValueError, TypeError, KeyError):
        return _line(str(error.reason)), ""


def _group(api: str) -> str:
    return api.removeprefix("apis/") if api.startswith("apis/") else "the core group"


def _line(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_LENGTH]
