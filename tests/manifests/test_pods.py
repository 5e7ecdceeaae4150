"""The pods that the manifests make."""

import re

import pytest

from components.shared import images
from tests.manifests.rendering import MANIFESTS, OVERLAYS, Pod, of_kind, pods, render
from tests.manifests.restricted import shortcomings, violations

EVERY_POD = [pytest.param(pod, id=f"{o}-{pod.name}") for o in OVERLAYS for pod in pods(o)]
OURS = {value for name, value in vars(images).items() if name.isupper() and name[0] != "_"}
KUBELET = {"default"}
"""Accounts that every namespace has."""


@pytest.mark.parametrize("pod", EVERY_POD)
def test_pod_is_admitted_by_the_restricted_standard(pod: Pod) -> None:
    assert list(violations(pod)) == []


@pytest.mark.parametrize("pod", EVERY_POD)
def test_pod_writes_to_volumes_alone_and_says_what_it_uses(pod: Pod) -> None:
    assert list(shortcomings(pod)) == []


def test_a_pod_that_may_do_more_is_found() -> None:
    """Each rule above is one that can fail."""
    bare = Pod("bare", "", {}, {"hostPID": True, "containers": [{"name": "one"}]})

    assert list(violations(bare)) == [
        "bare: hostPID",
        "bare, one: runAsNonRoot",
        "bare, one: allowPrivilegeEscalation",
        "bare, one: seccompProfile",
        "bare, one: capabilities",
    ]
    assert len(list(shortcomings(bare))) == 4


@pytest.mark.parametrize("pod", EVERY_POD)
def test_images_are_those_of_the_components_or_pinned(pod: Pod) -> None:
    for container in pod.containers:
        image = container["image"]
        if image.startswith("ghcr.io/kubedistill/"):
            assert image in OURS
        else:
            assert re.search(r":[^/:@]*\d[^/:@]*(@sha256:[0-9a-f]{64})?$", image), image


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_accounts_and_priority_classes_that_pods_name_are_there(overlay: str) -> None:
    objects = render(overlay)
    accounts = of_kind(objects, "ServiceAccount").keys() | KUBELET
    priorities = of_kind(objects, "PriorityClass").keys()

    for pod in pods(overlay):
        assert pod.spec.get("serviceAccountName", "default") in accounts
        assert pod.spec["priorityClassName"] in priorities


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_config_maps_that_pods_name_are_there_and_secrets_are_explained(overlay: str) -> None:
    """No secret is in the manifests; how each is made is in their README."""
    objects = render(overlay)
    explained = (MANIFESTS / "README.md").read_text()
    config_maps = of_kind(objects, "ConfigMap").keys()

    assert not of_kind(objects, "Secret")
    for pod in pods(overlay):
        text = str(pod.spec)
        for name in re.findall(r"'(?:configMapRef|configMap)': \{'name': '([^']+)'", text):
            assert name in config_maps
        for name in re.findall(r"'(?:secretRef|secretKeyRef)': \{[^}]*'name': '([^']+)'", text):
            assert f"kubectl create secret generic {name}" in explained


def test_roles_leave_no_place_for_keys_of_s3() -> None:
    objects = render("s3-iam-roles")

    assert "kubedistill-s3" not in str(objects)
    accounts = of_kind(objects, "ServiceAccount")
    assert accounts
    for name, account in accounts.items():
        role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        assert role.endswith(f":role/{name}")
