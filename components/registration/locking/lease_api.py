"""The requests on a Lease, and what their failures mean."""

import json
from typing import TYPE_CHECKING, Any

from components.registration.locking.lease_record import Lease
from components.registration.locking.lock import LockUnavailable
from components.shared.errors import UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_MESSAGE_LENGTH = 300


class LeaseChanged(Exception):  # noqa: N818 - reads as an event
    """Somebody else wrote it first, or deleted it."""


class LeaseApi:
    """One Lease of one namespace."""

    def __init__(self, client: "ApiClient", namespace: str, name: str) -> None:
        """Name it; nothing is sent.

        Args:
            client: of the cluster; is asked not to retry, since each request is written for that.
            namespace: where the Lease is.
            name: of the Lease.
        """
        from kubernetes.client import CoordinationV1Api

        self.namespace, self.name = namespace, name
        self._server = client.configuration.host
        self._leases = CoordinationV1Api(client)

    def read(self, timeout_s: float) -> Lease | None:
        """The Lease as it is; null where there is none.

        Raises:
            LockUnavailable: the API did not answer, or failed.
            UserError: the right to is missing.
        """
        return self._send("get", "read_namespaced_lease", timeout_s, name=self.name)

    def create(self, document: dict[str, Any], timeout_s: float) -> Lease:
        """Make the Lease.

        Raises:
            LeaseChanged: there is one.
            LockUnavailable: the API did not answer, or failed: it may be there or not.
            UserError: the right to is missing, or the namespace.
        """
        created = self._send("create", "create_namespaced_lease", timeout_s, body=document)
        if created is None:
            raise UserError(
                f"there is no namespace {self.namespace!r} at {self._server} for the lock's Lease; "
                "create it, or name another by KUBEDISTILL_LOCK=lease:NAMESPACE"
            )
        return created

    def replace(self, document: dict[str, Any], timeout_s: float) -> Lease:
        """Write the Lease, if it is still the one that ``document`` was made from.

        Raises:
            LeaseChanged: it is not.
            LockUnavailable: the API did not answer, or failed: it may be written or not.
            UserError: the right to is missing.
        """
        written = self._send(
            "update", "replace_namespaced_lease", timeout_s, name=self.name, body=document
        )
        if written is None:
            raise LeaseChanged
        return written

    def _send(self, verb: str, method: str, timeout_s: float, **arguments: Any) -> Lease | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError, MaxRetryError

        try:
            response = getattr(self._leases, method)(
                namespace=self.namespace,
                _request_timeout=timeout_s,
                _preload_content=False,
                **arguments,
            )
            return Lease(json.loads(response.data))
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._meaning(verb, error) from error
        except (HTTPError, OSError, ValueError) as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            raise self._unavailable(cause) from error

    def _meaning(self, verb: str, error: Any) -> Exception:
        if error.status == 409:
            return LeaseChanged()
        if error.status == 401:
            return UserError(
                f"the Kubernetes API at {self._server} does not accept these credentials; renew "
                "them, or choose another lock by KUBEDISTILL_LOCK"
            )
        if error.status == 403:
            return UserError(
                f"the lock needs the right to {verb} leases (coordination.k8s.io) in the namespace "
                f"{self.namespace!r}: {_message(error)}; bind the service account as "
                "manifests/base/promotion-lock.yaml does, or choose another lock by "
                "KUBEDISTILL_LOCK"
            )
        return self._unavailable(f"{error.status} {_message(error)}")

    def _unavailable(self, cause: object) -> LockUnavailable:
        text = " ".join(str(cause).split())[:_MESSAGE_LENGTH]
        return LockUnavailable(f"the Kubernetes API at {self._server}: {text}")


def _message(error: Any) -> str:
    """What the server said: a Status object, or the text of whatever stood in its place."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.reason)
