"""Kubernetes events of moves and rejections, on the pod of the step: what ``kubectl get events``
shows, and what collectors of events pass on.

An event needs no setting: it is written by any pod that may talk to the API. That takes the right
to create events in the pod's own namespace.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from components.registration.hooks.cloud_event import Event
from components.registration.hooks.webhook import Delivery, refuses_event
from components.shared import cluster
from components.shared.recipe.hooks import EventName

_REASONS: dict[EventName, tuple[str, str]] = {
    "promoted": ("ModelPromoted", "Normal"),
    "rejected": ("ModelRejected", "Normal"),
    "challenger": ("ModelWaitsForApproval", "Normal"),
    "rolled_back": ("ModelRolledBack", "Warning"),
    "moved": ("ModelMoved", "Warning"),
}
"""Reason and type. A rejection is a result like another; what calls for somebody is a warning."""
_COMPONENT = "kubedistill"
_LONGEST_MESSAGE = 1024
"""Characters; the API refuses longer ones in its newer form of an event."""
_TIMEOUT_S = (5, 10)
"""Seconds to connect, and to wait for an answer."""


@dataclass(frozen=True)
class Pod:
    """The pod that this process runs in; its namespace is told of moves."""

    namespace: str
    name: str
    uid: str | None

    @property
    def url(self) -> str:
        """Names the namespace as a receiver of events, wherever in it the pods run."""
        return f"kubernetes:{self.namespace}/events"

    @property
    def events(self) -> tuple[EventName, ...]:
        """It is told of everything."""
        return get_args(EventName)


def own_pod(environment: Mapping[str, str] = os.environ) -> Pod | None:
    """The pod around this process; null where there is none, or it may not talk to the API."""
    if not (cluster.in_pod() and cluster.has_token()):
        return None
    return Pod(
        namespace=(cluster.SERVICE_ACCOUNT / "namespace").read_text().strip(),
        name=environment.get("KFP_POD_NAME") or socket.gethostname(),
        uid=environment.get("KFP_POD_UID"),
    )


def kubernetes_event(event: Event, pod: Pod) -> dict[str, Any]:
    """The ``Event`` of the core API that says what others are told; the same name every time."""
    told = json.loads(event.body)
    data, at = told["data"], told["time"].split(".")[0].rstrip("Z") + "Z"
    reason, kind = _REASONS[event.name]
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name}
    if pod.uid is not None:
        regarding["uid"] = pod.uid
    annotations = {
        "kubedistill.io/model": data["model"],
        "kubedistill.io/alias": data["alias"],
        "kubedistill.io/version": data["version"],
        "kubedistill.io/run-id": data["run_id"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"kubedistill.{event.id}",
            "namespace": pod.namespace,
            "labels": {"app.kubernetes.io/managed-by": "kubedistill"},
            "annotations": {name: text for name, text in annotations.items() if text is not None},
        },
        "involvedObject": regarding,
        "reason": reason,
        "type": kind,
        "message": _message(event.name, data),
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "reportingInstance": pod.name,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def write_event(event: Event, pod: Pod) -> Delivery:
    """Write an event into the pod's namespace, unless an attempt before has.

    Returns:
        Whether it is there, or why not; nothing is raised.
    """
    from kubernetes.client import ApiException, CoreV1Api
    from urllib3.exceptions import HTTPError, MaxRetryError

    try:
        client, _ = cluster.connect_to_cluster()
        CoreV1Api(client).create_namespaced_event(
            pod.namespace,
            kubernetes_event(event, pod),
            _request_timeout=_TIMEOUT_S,
            _preload_content=False,
        )
    except ApiException as error:
        if error.status != 409:
            problem = _explain(error, pod.namespace)
            return _delivery(event, pod, problem, refused=refuses_event(error.status))
    except (HTTPError, OSError, cluster.NoCluster) as error:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        return _delivery(event, pod, f"the Kubernetes API cannot be reached ({_line(str(cause))})")
    return _delivery(event, pod)


def _delivery(
    event: Event, pod: Pod, problem: str | None = None, *, refused: bool = False
) -> Delivery:
    return Delivery(pod.url, event.id, problem is None, 1, problem or "written", refused)


def _explain(error: Any, namespace: str) -> str:
    if error.status == 403:
        return (
            f"the pod's service account may not create events in the namespace {namespace}; grant "
            'it apiGroups [""], resources ["events"], verbs ["create"]'
        )
    try:
        said = json.loads(error.body)["message"]
    except (ValueError, TypeError, KeyError):
        said = error.reason
    return f"the Kubernetes API answered {error.status}: {_line(str(said))}"


def _message(name: EventName, data: Mapping[str, Any]) -> str:
    model, alias, version = data["model"], data["alias"], data["version"]
    before, after = data["champion_before"], data["champion_after"]
    former = f", before it was version {before}" if before else ""
    match name:
        case "promoted":
            what = f"{model} version {version} is now @{alias}{former}"
        case "rolled_back":
            what = f"{model} is rolled back: version {version} is @{alias} again{former}"
        case "challenger":
            what = f"{model} version {version} passed its gates and waits for approval"
        case "rejected":
            subject = f"{model} version {version}" if version else f"a student for {model}"
            what = f"{subject} is rejected{f', @{alias} stays version {after}' if after else ''}"
        case "moved":
            new = f"version {after}" if after else "no version"
            what = f"@{alias} of {model} was moved to {new} without kubedistill{former}"
    run = f" (run {data['run_id']})" if data["run_id"] else ""
    return _line(f"{what}{run}: {data['reason']}")


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"
