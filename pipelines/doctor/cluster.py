"""The cluster itself: its version, and the namespace that runs are in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding

_OLDEST = (1, 25)
"""The first with pod security standards for good."""
_PSS = "pod-security.kubernetes.io/enforce"
_APPLY = "kubectl apply -k manifests/base"


def check_version(api: KubernetesApi) -> Finding:
    """Which version it is; any answer says that the API can be reached.

    Raises:
        NoAnswer: it cannot.
    """
    try:
        found = api.get("/version") or {}
    except NotAllowed as error:
        return Finding("kubernetes", "ok", f"{api.server} ({error})")
    return judge_version(str(found.get("gitVersion", "")), api.server)


def judge_version(version: str, server: str) -> Finding:
    """What a version such as ``v1.33.2-gke.1`` is good for."""
    numbers = re.match(r"v(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST:
        return Finding(
            "kubernetes",
            "warning",
            f"{version} at {server} does not enforce pod security standards",
            "use Kubernetes 1.25 or later",
        )
    return Finding("kubernetes", "ok", f"{version or 'an unknown version'} at {server}")


def check_namespace(api: KubernetesApi, name: str) -> Iterator[Finding]:
    """Whether the namespace is there, and which pods it takes."""
    try:
        found = api.get(f"/api/v1/namespaces/{name}")
    except NotAllowed as error:
        yield Finding("namespace", "unchecked", f"{name}: {error}")
        return
    if found is None:
        yield Finding("namespace", "failed", f"there is no namespace {name}", _APPLY)
        return
    if found["status"]["phase"] != "Active":
        yield Finding("namespace", "failed", f"{name} is being deleted", "wait, and make it anew")
        return
    yield Finding("namespace", "ok", name)
    yield judge_security(name, found["metadata"].get("labels") or {})


def judge_security(name: str, labels: Mapping[str, Any]) -> Finding:
    """What the label of the pod security standard comes to."""
    level = labels.get(_PSS)
    if level == "restricted":
        return Finding("pod security", "ok", "restricted is enforced")
    found = f"{level} is enforced" if level else "no standard is enforced"
    return Finding(
        "pod security",
        "warning",
        f"{found} in {name}, and steps need no more than restricted",
        f"kubectl label namespace {name} {_PSS}=restricted --overwrite",
    )
