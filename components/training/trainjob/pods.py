"""Pods of a TrainJob: which one is which, what it waits for, how it ended, what it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.training.trainjob.api import Api, Missing
from components.training.trainjob.manifest import NODE, Owner

Pod = dict[str, Any]
_PATH = "api/v1//pods"
_INDEX = "batch.kubernetes.io/job-completion-index"
_SILENCE_S = 3600.0
"""A log may be silent for as long as nothing is said; a lost connection is noticed by TCP."""
_PATIENT_REASONS = {"ContainerCreating", "PodInitializing"}


@dataclass(frozen=True)
class Ended:
    """How the container of a pod ended."""

    pod: str
    node: int
    status: int
    reason: str
    at: str

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason not in ("", "Error") else ""
        return f"pod {self.pod} (node {self.node}) ended with status {self.status}{why}"


def node_of(pod: Pod) -> int:
    """Number of the node that the pod is, from 0; -1 where it is none."""
    return int((pod["metadata"].get("annotations") or {}).get(_INDEX, -1))


def first_node(pods: list[Pod]) -> Pod | None:
    """The newest pod of node 0, whose log has what the training reports."""
    found = [pod for pod in pods if node_of(pod) == 0]
    return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def container_of(pod: Pod) -> dict[str, Any]:
    """State of the container that trains; empty before there is one."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((found for found in statuses if found["name"] == NODE), {})


def why_waiting(pod: Pod) -> str | None:
    """What keeps a pod from starting; null where nothing does that would not pass by itself."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    waiting = (container_of(pod).get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    if not reason or reason in _PATIENT_REASONS:
        return None
    return f"{reason}: {waiting.get('message', '')}".rstrip(": ")


def first_failure(pods: list[Pod]) -> Ended | None:
    """The container that failed first: the others fail because of it."""
    found = []
    for pod in pods:
        ended = _end_of(container_of(pod))
        if ended and ended["exitCode"] != 0:
            found.append(
                Ended(
                    pod["metadata"]["name"],
                    node_of(pod),
                    int(ended["exitCode"]),
                    str(ended.get("reason", "")),
                    str(ended.get("finishedAt", "")),
                )
            )
    return min(found, key=lambda ended: ended.at, default=None)


def _end_of(container: dict[str, Any]) -> dict[str, Any] | None:
    """How a container ended that does not run; one that waits to be started again (as in
    CrashLoopBackOff) ended before."""
    state = container.get("state") or {}
    if "running" in state:
        return None
    return state.get("terminated") or (container.get("lastState") or {}).get("terminated")


class Pods:
    """The pods of a namespace. Failures are those of :meth:`Api.send`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @property
    def namespace(self) -> str:
        """Where they are."""
        return self._api.namespace

    def of_job(self, name: str) -> list[Pod]:
        """All pods that train in a TrainJob, those that ended included."""
        selector = (
            f"jobset.sigs.k8s.io/jobset-name={name},jobset.sigs.k8s.io/replicatedjob-name={NODE}"
        )
        found: list[Pod] = self._api.send("list", _PATH, labelSelector=selector)["items"]
        return found

    def workflow_of(self, name: str) -> Owner | None:
        """The workflow that a step's pod belongs to."""
        try:
            pod = self._api.send("get", f"{_PATH}/{name}")
        except Missing:
            return None
        return next(
            (
                Owner(owner["apiVersion"], owner["kind"], owner["name"], owner["uid"])
                for owner in pod["metadata"].get("ownerReferences") or []
                if owner["kind"] == "Workflow"
            ),
            None,
        )

    def follow(self, name: str, since: str) -> Iterator[tuple[str, str]]:
        """What a pod says, until its container ends: time and line.

        Args:
            name: of the pod.
            since: time after which lines are wanted; empty: all.
        """
        after = {"sinceTime": since} if since else {}
        for text in self._log(name, follow="true", timestamps="true", **after):
            time, _, line = text.partition(" ")
            if time > since:
                yield time, line

    def tail(self, name: str, lines: int) -> list[str]:
        """The last lines of a pod."""
        return list(self._log(name, tailLines=lines))

    def _log(self, name: str, **query: str | int) -> Iterator[str]:
        return self._api.lines(
            "get", f"{_PATH}/{name}/log", silence_s=_SILENCE_S, container=NODE, **query
        )
