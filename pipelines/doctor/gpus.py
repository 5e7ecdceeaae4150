"""Whether the nodes have the GPUs that steps ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding
from pipelines.doctor.needs import GpuNeed, Needs

_KNOWN = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915")
_OF_CONDITIONS = "node.kubernetes.io/"
"""Prefix of taints that come and go with the conditions of a node, which are looked at."""


@dataclass(frozen=True)
class Node:
    """What counts of a node that takes pods."""

    name: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    """Those that keep pods away."""

    def gpus(self, resource: str) -> int:
        """How many of a resource pods can have on it; extended resources are whole numbers."""
        return int(self.allocatable.get(resource, 0))


def check_gpus(api: KubernetesApi, needs: Needs) -> Iterator[Finding]:
    """Each step's GPUs; without a recipe, those that there are."""
    if needs.recipe is not None and not needs.gpus:
        return
    try:
        found = api.get("/api/v1/nodes") or {"items": []}
    except NotAllowed as error:
        yield Finding("GPUs", "unchecked", str(error), "run this as somebody who may list nodes")
        return
    nodes = list(usable(found["items"]))
    if needs.recipe is None:
        yield census(nodes)
    for need in needs.gpus:
        yield judge(need, nodes)


def usable(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Node]:
    """Nodes that are ready, and not cordoned off."""
    for node in nodes:
        status, metadata = node.get("status", {}), node["metadata"]
        conditions = {one["type"]: one["status"] for one in status.get("conditions") or []}
        if conditions.get("Ready") == "True" and not node.get("spec", {}).get("unschedulable"):
            labels = metadata.get("labels") or {}
            taints = node.get("spec", {}).get("taints") or []
            yield Node(
                metadata["name"],
                status.get("allocatable") or {},
                labels,
                [one for one in taints if _keeps_away(one)],
            )


def judge(need: GpuNeed, nodes: Sequence[Node]) -> Finding:
    """Whether all pods of a step find a place at once, on nodes that have nothing else to do."""
    check = f"GPUs: {need.step}"
    selected = [node for node in nodes if need.node_selector.items() <= node.labels.items()]
    where = " with the labels of its node_selector" if need.node_selector else ""
    counts = [node.gpus(need.resource) for node in selected]
    total, largest = sum(counts), max(counts, default=0)
    asks = f"{need.count} {need.resource}" + (f" in each of {need.pods} pods" * (need.pods > 1))
    has = f"{total} on usable nodes{where}, at most {largest} on one"
    if _places(need, [node for node in selected if not _taints(node, need)]) >= need.pods:
        return Finding(check, "ok", f"asks for {asks}; there are {has}")
    if _places(need, selected) >= need.pods:
        useful = (node for node in selected if node.gpus(need.resource) >= need.count)
        taints = sorted({taint for node in useful for taint in _taints(node, need)})
        return Finding(
            check,
            "warning",
            f"asks for {asks}; there are {has}, but behind taints that it does not tolerate: "
            f"{', '.join(taints)}",
            "add them to tolerations, unless the cluster, Kueue's ResourceFlavor or the "
            "TrainingRuntime does",
        )
    if not total:
        advice = (
            "install the device plugin on GPU nodes, check resource, node_selector and that nodes "
            "are ready; where an autoscaler adds nodes, it may still find some"
        )
        return Finding(check, "failed", f"asks for {asks}; no usable node{where} has any", advice)
    return Finding(
        check,
        "failed",
        f"asks for {asks}; there are {has}",
        "ask for fewer, or add nodes; where an autoscaler does, it may still find some",
    )


def _places(need: GpuNeed, nodes: Sequence[Node]) -> int:
    """How many pods find their GPUs."""
    return sum(node.gpus(need.resource) // need.count for node in nodes)


def _keeps_away(taint: Mapping[str, str]) -> bool:
    preferred = taint["effect"] == "PreferNoSchedule"
    return not preferred and not taint["key"].startswith(_OF_CONDITIONS)


def _taints(node: Node, need: GpuNeed) -> list[str]:
    """The taints of a node that the pods do not tolerate, as kubectl writes them."""
    return [
        "=".join(filter(None, (taint["key"], taint.get("value")))) + f":{taint['effect']}"
        for taint in node.taints
        if not any(
            one.key == taint["key"]
            and one.effect in (None, taint["effect"])
            and (one.how == "Exists" or one.value == taint.get("value", ""))
            for one in need.tolerations
        )
    ]


def census(nodes: Sequence[Node]) -> Finding:
    """The GPUs that there are, of the usual makers."""
    found = [
        f"{sum(node.gpus(name) for node in nodes)} {name}, at most "
        f"{max(node.gpus(name) for node in nodes)} on one node"
        for name in _KNOWN
        if any(node.gpus(name) for node in nodes)
    ]
    if found:
        return Finding("GPUs", "ok", "; ".join(found))
    advice = "steps run on CPUs, or install the device plugin of the GPUs' maker"
    return Finding("GPUs", "warning", "no usable node has any", advice)
