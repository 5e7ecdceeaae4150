"""Applying the manifest of the service to the cluster: by server-side apply, which says by itself
who set which field, and leaves alone what others set."""

import json
from typing import Any

import urllib3.exceptions
from kubernetes import client

from components.registration.hooks.kserve import API_VERSION, GROUP, PLURAL, ApplyFailed
from components.shared.cluster import connect_to_cluster

_MANAGER = "kubedistill"
_TIMEOUT_S = (5, 30)
"""Seconds to connect, and to wait for an answer."""
_MESSAGE_LENGTH = 300
_UNREACHABLE = "the Kubernetes API cannot be reached"


def apply(manifest: dict[str, Any], api: client.ApiClient | None = None) -> bool:
    """Create the service, or make it what the manifest says; return whether anything changed.

    Doing it again changes nothing. What the manifest says wins over what others set there.

    Args:
        manifest: from :func:`~components.registration.hooks.kserve.inference_service`.
        api: the cluster; by default the one this pod is in, or the current one of the kubeconfig.

    Raises:
        ApplyFailed: KServe is not installed, the rights are missing, the API cannot be reached, or
            it refused the manifest.
        NoCluster: there is neither a cluster around this process nor a kubeconfig.
    """
    name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
    folder = f"/apis/{GROUP}/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
    where = f"InferenceService {namespace}/{name}"
    cluster = api or connect_to_cluster()[0]
    try:
        before = _get(cluster, f"{folder}/{name}")
        after = _request(
            cluster,
            "PATCH",
            f"{folder}/{name}",
            query_params=[("fieldManager", _MANAGER), ("force", "true")],
            header_params={"Content-Type": "application/apply-patch+yaml"},
            body=manifest,
        )
    except client.ApiException as error:
        raise ApplyFailed(f"{where}: {_explain(error, namespace)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
        raise ApplyFailed(f"{where}: {_UNREACHABLE} ({_one_line(str(cause))})") from error
    return before is None or _content(before) != _content(after)


def _get(cluster: client.ApiClient, path: str) -> dict[str, Any] | None:
    try:
        return _request(cluster, "GET", path)
    except client.ApiException as error:
        if error.status == 404 and _details(error).get("name"):
            return None
        raise


def _request(cluster: client.ApiClient, method: str, path: str, **fields: Any) -> dict[str, Any]:
    # The generated client knows no server-side apply of custom resources.
    answer: dict[str, Any] = cluster.call_api(
        path,
        method,
        response_type="object",
        auth_settings=["BearerToken"],
        _return_http_data_only=True,
        _request_timeout=_TIMEOUT_S,
        **fields,
    )
    return answer


def _content(found: dict[str, Any]) -> dict[str, Any]:
    """What people and programs set, without what the cluster counts and observes."""
    metadata = found["metadata"]
    return {
        "spec": found.get("spec"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
    }


def _explain(error: client.ApiException, namespace: str) -> str:
    message = _one_line(_status(error).get("message") or error.reason or "no reason given")
    if error.status == 0:  # the client's way to say that TLS failed
        return f"{_UNREACHABLE} ({message})"
    if error.status == 403:
        return f"not allowed ({message}); the service account needs get, create and patch on it"
    if error.status == 401:
        return "the cluster does not know who is asking: its credentials are gone or out of date"
    if error.status == 404:
        kind = _details(error).get("kind")
        if kind == "namespaces":
            return f"there is no namespace {namespace}"
        return "the cluster has no InferenceService: KServe is not installed there"
    return f"the Kubernetes API answered {error.status}: {message}"


def _details(error: client.ApiException) -> dict[str, Any]:
    details: dict[str, Any] = _status(error).get("details") or {}
    return details


def _status(error: client.ApiException) -> dict[str, Any]:
    """The API's own description of an error; empty where a proxy or a missing path answered."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"
