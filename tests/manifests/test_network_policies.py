"""Who may talk to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.manifests.rendering import MANIFESTS, OVERLAYS, of_kind, pods, render

STEP = {"pipelines.kubeflow.org/v2_component": "true"}
"""By Kubeflow Pipelines to all pods of a run: argocompiler/argo.go, podMetadata."""
TRAINING = {"jobset.sigs.k8s.io/jobset-name": "any"}
"""By JobSet to the pods of a TrainJob."""
CLIENT = {"kubedistill.io/client": "true"}
"""By users to pods that promote or look: README.md."""
OTHERS = [
    STEP,
    TRAINING,
    CLIENT,
    # Of pods in other namespaces: by Kubernetes' own DNS, and by the charts of these.
    {"k8s-app": "kube-dns"},
    {"app.kubernetes.io/name": "mlflow"},
    {"app.kubernetes.io/name": "prometheus-pushgateway"},
    {"app.kubernetes.io/name": "seaweedfs"},
    {"app": "seaweedfs"},  # Kubeflow's own
]
"""Labels of pods that are not in the manifests."""


@dataclass(frozen=True)
class End:
    """Where a connection goes to."""

    port: int
    namespace: str | None = None
    """Null for an address that is no pod's."""
    labels: Mapping[str, str] = field(default_factory=dict)


API = End(6443)
MLFLOW = End(5000, "kubedistill", {"app.kubernetes.io/name": "mlflow"})
KUBEFLOW = End(8888, "kubeflow", {"app": "ml-pipeline"})
S3 = End(8333, "kubedistill", {"app.kubernetes.io/name": "seaweedfs"})
S3_OF_KUBEFLOW = End(8333, "kubeflow", {"app": "seaweedfs"})
ENDS = [API, MLFLOW, KUBEFLOW, S3, S3_OF_KUBEFLOW]


def retraining_labels() -> dict[str, str]:
    (pod,) = pods("retraining")
    return pod.labels


def reaches(labels: dict[str, str], end: End) -> bool:
    """Whether a policy lets a pod of these labels out to there."""
    return any(
        selects(policy["spec"]["podSelector"], labels) and lets_out(rule, end)
        for policy in of_kind(render("retraining"), "NetworkPolicy").values()
        for rule in policy["spec"].get("egress", [])
    )


def lets_out(rule: dict[str, Any], end: End) -> bool:
    ports = rule.get("ports")
    to_port = ports is None or end.port in {entry["port"] for entry in ports}
    return to_port and any(is_peer(peer, end) for peer in rule["to"])


def is_peer(peer: dict[str, Any], end: End) -> bool:
    if end.namespace is None or "ipBlock" in peer:
        return end.namespace is None and "ipBlock" in peer
    own = {"matchLabels": {"kubernetes.io/metadata.name": "kubedistill"}}
    namespace = {"kubernetes.io/metadata.name": end.namespace}
    in_namespace = selects(peer.get("namespaceSelector", own), namespace)
    return in_namespace and selects(peer.get("podSelector", {}), dict(end.labels))


def selectors(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found for entry in part for found in selectors(entry)]
    if not isinstance(part, dict):
        return []
    own = [part["podSelector"]] if "podSelector" in part else []
    return own + [found for entry in part.values() for found in selectors(entry)]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """As Kubernetes does, for the operators that are used."""
    for expression in selector.get("matchExpressions", []):
        value = labels.get(expression["key"])
        match expression["operator"]:
            case "Exists":
                if value is None:
                    return False
            case "NotIn":
                if value in expression["values"]:
                    return False
    return selector.get("matchLabels", {}).items() <= labels.items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_finds_pods_that_exist(overlay: str) -> None:
    labels = [*OTHERS, *(pod.labels for pod in pods(overlay))]

    for name, policy in of_kind(render(overlay), "NetworkPolicy").items():
        for selector in selectors(policy["spec"]):
            assert any(selects(selector, found) for found in labels), (name, selector)


@pytest.mark.parametrize("overlay", sorted(set(OVERLAYS) - {"one-node"}))
def test_nothing_is_let_through_that_no_policy_names(overlay: str) -> None:
    policies = of_kind(render(overlay), "NetworkPolicy")

    assert policies["default-deny"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rules_name_both_an_end_and_a_port(overlay: str) -> None:
    """But for the training pods among themselves, whose libraries take any port."""
    for name, policy in of_kind(render(overlay), "NetworkPolicy").items():
        for direction, end in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                assert rule[end]
                assert name == "training" or rule["ports"]


def test_policies_hold_whatever_is_in_kubeflows_own_namespace_harmless() -> None:
    """Where Kubeflow's pods are beside ours, a policy for all pods would cut them off."""
    for policy in of_kind(render("one-node"), "NetworkPolicy").values():
        spec = policy["spec"]
        assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/part-of"] == "kubedistill"
        assert spec["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_find_the_port_of_their_pods(overlay: str) -> None:
    found = list(pods(overlay))
    for name, service in of_kind(render(overlay), "Service").items():
        behind = [pod for pod in found if service["spec"]["selector"].items() <= pod.labels.items()]
        assert len(behind) == 1, name
        ports = {p["name"] for c in behind[0].containers for p in c.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_addresses_in_the_settings_are_services_of_the_manifests() -> None:
    objects = render("one-node")
    services = of_kind(objects, "Service")
    settings = of_kind(objects, "ConfigMap")["kubedistill-config"]["data"]
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        host, port = settings[name].removeprefix("http://").split(":")
        assert int(port) in {entry["port"] for entry in services[host]["spec"]["ports"]}
    assert (MANIFESTS / "README.md").read_text().count("kubedistill-config")


@pytest.mark.parametrize(
    ("labels", "reached"),
    [
        pytest.param(STEP, [API, MLFLOW, S3, S3_OF_KUBEFLOW], id="step"),
        pytest.param(CLIENT, ENDS, id="client"),
        pytest.param(TRAINING, [S3, S3_OF_KUBEFLOW], id="training"),
        pytest.param(retraining_labels(), [MLFLOW, KUBEFLOW, S3, S3_OF_KUBEFLOW], id="retraining"),
        pytest.param({}, [S3, S3_OF_KUBEFLOW], id="any"),
        pytest.param({"app.kubernetes.io/name": "postgresql"}, [], id="postgresql"),
    ],
)
def test_pods_reach_what_they_work_with_and_nothing_else(
    labels: dict[str, str], reached: list[End]
) -> None:
    assert [end for end in ENDS if reaches(labels, end)] == reached


def test_label_that_lets_a_pod_out_is_explained() -> None:
    ((key, value),) = CLIENT.items()
    assert f'`{key}: "{value}"`' in (MANIFESTS / "README.md").read_text()
