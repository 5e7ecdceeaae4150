"""Every overlay is rendered, and is what the API of Kubernetes takes."""

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest

from tests.manifests.rendering import MANIFESTS, OVERLAYS, of_kind, render, title

VERSIONS = ["1.29", "1.33", "1.37"]
UNCHECKED = {
    "kueue.x-k8s.io/v1beta2 ClusterQueue",
    "kueue.x-k8s.io/v1beta2 LocalQueue",
    "kueue.x-k8s.io/v1beta2 ResourceFlavor",
    "trainer.kubeflow.org/v1alpha1 TrainingRuntime",
}
"""Resources of others: Kubernetes has no schema of them."""
IN_NO_NAMESPACE = {"ClusterQueue", "Namespace", "PriorityClass", "ResourceFlavor"}
NAMESPACES = dict.fromkeys(OVERLAYS, "kubedistill") | {"one-node": "kubeflow"}


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_have_the_fields_of_their_kind(version: str) -> None:
    # Many are in several overlays, in the one namespace or the other.
    different = {
        json.dumps(found).replace('"kubeflow"', '"kubedistill"'): found
        for overlay in OVERLAYS
        for found in render(overlay)
    }
    unchecked = set()
    for found in different.values():
        try:
            kubernetes_validate.validate(found, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unchecked.add(f"{found['apiVersion']} {found['kind']}")

    assert unchecked == UNCHECKED


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_objects_are_all_in_one_namespace(overlay: str) -> None:
    """Not in whichever the user's context names."""
    for found in render(overlay):
        expected = None if found["kind"] in IN_NO_NAMESPACE else NAMESPACES[overlay]
        assert found["metadata"].get("namespace") == expected, title(found)
        assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kubedistill"


@pytest.mark.parametrize("overlay", sorted(set(OVERLAYS) - {"one-node"}))
def test_namespace_enforces_the_restricted_pod_security_standard(overlay: str) -> None:
    (namespace,) = of_kind(render(overlay), "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("path", sorted(MANIFESTS.rglob("kustomization.yaml")))
def test_no_file_is_forgotten(path: Path) -> None:
    text = path.read_text()
    for file in path.parent.glob("*.yaml"):
        assert file == path or f"- {file.name}\n" in text or f"path: {file.name}\n" in text


def test_quota_has_room_for_what_the_queue_hands_out() -> None:
    objects = render("gpu-kueue")
    (queue,) = of_kind(objects, "ClusterQueue").values()
    quota = of_kind(objects, "ResourceQuota")["kubedistill"]["spec"]["hard"]
    (group,) = queue["spec"]["resourceGroups"]
    flavors = of_kind(objects, "ResourceFlavor")

    assert {flavor["name"] for flavor in group["flavors"]} == flavors.keys()
    gpus = 0
    for flavor in group["flavors"]:
        amounts = {entry["name"]: entry["nominalQuota"] for entry in flavor["resources"]}
        assert list(amounts) == group["coveredResources"]
        gpus += int(amounts["nvidia.com/gpu"])
    assert int(quota["requests.nvidia.com/gpu"]) == gpus


def test_first_look_is_at_the_namespace_that_was_applied() -> None:
    explained = (MANIFESTS / "README.md").read_text()
    (first,) = re.findall(r"overlays/(\S+)\nkubedistill doctor(?: --namespace (\S+))?\n", explained)
    overlay, namespace = first

    assert namespace == NAMESPACES[overlay]
