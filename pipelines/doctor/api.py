"""Requests to the Kubernetes API that change nothing."""

import json
from typing import TYPE_CHECKING, Any

from components.shared.cluster import connect_to_cluster

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_TIMEOUT_S = (5, 15)
"""Seconds to connect, and to wait for an answer."""
_MESSAGE_LENGTH = 300


class NotAllowed(Exception):  # noqa: N818 - reads as a fact
    """Whoever runs this may not look at something; the message is the API's."""


class NoAnswer(Exception):  # noqa: N818 - reads as a fact
    """The API is out of reach, refuses the credentials, or is out of order."""


class KubernetesApi:
    """The API of one cluster."""

    def __init__(self, client: "ApiClient") -> None:
        """Nothing is asked yet."""
        self._client = client
        self.server: str = client.configuration.host

    def get(self, path: str) -> dict[str, Any] | None:
        """An object or a list by its path; null where there is none.

        Raises:
            NotAllowed: reading it is not granted.
            NoAnswer: the API gives none.
        """
        return self._request("GET", path)

    def review(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for an access review, which is a POST that keeps nothing.

        Raises:
            NotAllowed: asking is not granted.
            NoAnswer: the API gives none.
        """
        return self._request("POST", path, body) or {}

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError, MaxRetryError

        try:
            response = self._client.call_api(
                path,
                method,
                body=body,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_TIMEOUT_S,
            )
            answer: dict[str, Any] = json.loads(response.data)
            return answer
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status == 403:
                raise NotAllowed(_message(error)) from error
            raise NoAnswer(_refusal(error)) from error
        except (HTTPError, OSError, ValueError) as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            raise NoAnswer(_line(str(cause))) from error


def connect() -> tuple[KubernetesApi, str | None]:
    """The API that this process can see, and the namespace that it is in.

    Raises:
        NoCluster: there is neither a cluster around this process nor a kubeconfig.
    """
    client, namespace = connect_to_cluster()
    return KubernetesApi(client), namespace


def _refusal(error: Any) -> str:
    if error.status == 401:
        return "it does not accept these credentials: they are wrong or out of date"
    return f"it answered {error.status}: {_message(error)}"


def _message(error: Any) -> str:
    """What the server said: a Status object, or the text of whatever stood in its place."""
    try:
        return _line(str(json.loads(error.body)["message"]))
    except (ValueError, TypeError, KeyError):
        return str(error.reason)


def _line(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_LENGTH]
