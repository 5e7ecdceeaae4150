"""The pods that the manifests make."""

import re

import pytest

from components.shared import images
from tests.manifests.rendering import MANIFESTS, OVERLAYS, Object, Pod, of_kind, pods, render
from tests.manifests.restricted import shortcomings, unbounded, violations

EVERY_POD = [pytest.param(pod, id=f"{o}-{pod.name}") for o in OVERLAYS for pod in pods(o)]
OURS = {value for name, value in vars(images).items() if name.isupper() and name[0] != "_"}
OF_A_TRAIN_JOB = "TrainingRuntime kubedistill-torch"
KUBELET = {"default"}
"""Accounts that every namespace has."""


@pytest.mark.parametrize("pod", EVERY_POD)
def test_pod_is_admitted_by_the_restricted_standard(pod: Pod) -> None:
    assert list(violations(pod)) == []


@pytest.mark.parametrize("pod", EVERY_POD)
def test_pod_writes_to_volumes_alone_and_says_what_it_uses(pod: Pod) -> None:
    assert list(shortcomings(pod)) == []
    if pod.name != OF_A_TRAIN_JOB:
        assert list(unbounded(pod)) == []


def training_runtime() -> Object:
    """The pods of a TrainJob as Trainer makes a Job of them, which is in a JobSet."""
    (runtime,) = of_kind(render("gpu-kueue"), "TrainingRuntime").values()
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    found: Object = job["template"]["spec"]
    return found


def test_training_runtime_leaves_resources_to_the_recipe() -> None:
    """Trainer 2.3 joins both key by key: a GPU named here would be asked for by every recipe."""
    for container in training_runtime()["template"]["spec"]["containers"]:
        assert "resources" not in container


def test_training_pod_that_fails_is_not_restarted_so_that_its_log_is_there() -> None:
    """JobSet's default is OnFailure, and that of a Job six times."""
    job = training_runtime()
    assert job["backoffLimit"] == 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"


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
    assert len(list(shortcomings(bare))) == 2
    assert len(list(unbounded(bare))) == 2


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


def test_with_roles_the_bucket_is_the_users_to_name() -> None:
    """Names of buckets are global in AWS, and one in capitals is nobody's."""
    server = of_kind(render("s3-iam-roles"), "Deployment")["kubedistill-mlflow"]
    (container,) = server["spec"]["template"]["spec"]["containers"]
    given = {entry["name"]: entry.get("value", "") for entry in container["env"]}

    assert given["MLFLOW_DEFAULT_ARTIFACT_ROOT"].startswith("s3://BUCKET/")
    names = list(given)
    assert names.index("POSTGRES_PASSWORD") < names.index("MLFLOW_BACKEND_STORE_URI")
    assert "`overlays/s3-iam-roles/bucket.yaml`" in (MANIFESTS / "README.md").read_text()
