"""Every overlay is applied to a real API server, with ``kubectl`` as a user does it."""

import json

import pytest
import yaml

from tests.cluster.api_server import ApiServer
from tests.cluster.holders import wait_until
from tests.cluster.kubectl import Kubectl
from tests.manifests.rendering import OVERLAYS, Object, of_kind, render, title

MAY_BE_MISSING = {
    ("batch/v1", "CronJob"),  # Kubernetes 1.21 and later
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"),
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"),
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"),
    ("trainer.kubeflow.org/v1alpha1", "TrainingRuntime"),
}
"""What a server may not know: a kind newer than it, or of others. Those are not applied."""


class Manifests:
    """Applies overlays."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        kubectl.run("apply", "--server-side", "--filename=-", given=KUBEFLOW)
        self._known = self._kinds()

    def apply(self, overlay: str) -> list[Object]:
        """Those objects whose kind the server knows, and return them."""
        objects = render(overlay)
        missing = {kind_of(found) for found in objects} - self._known
        assert missing <= MAY_BE_MISSING
        applied = [found for found in objects if kind_of(found) not in missing]
        self.kubectl.run("apply", "--server-side", "--filename=-", given=_as_text(applied))
        return applied

    def read(self, objects: list[Object]) -> dict[str, Object]:
        """What the server has of them, without how often and by whom it was written."""
        found = self.kubectl.run("get", "--filename=-", "--output=json", given=_as_text(objects))
        entries = json.loads(found)["items"]
        for entry in entries:
            del entry["metadata"]["resourceVersion"]
        return {title(entry): entry for entry in entries}

    def _kinds(self) -> set[tuple[str, str]]:
        lines = self.kubectl.run("api-resources", "--no-headers").splitlines()
        # Short names are left out where there are none, so that columns are counted from the end.
        return {(line.split()[-3], line.split()[-1]) for line in lines}


KUBEFLOW = """
apiVersion: v1
kind: Namespace
metadata:
  name: kubeflow
"""


def _as_text(objects: list[Object]) -> str:
    return yaml.safe_dump_all(objects)


def kind_of(found: Object) -> tuple[str, str]:
    return found["apiVersion"], found["kind"]


@pytest.fixture(scope="module")
def manifests(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return Manifests(Kubectl(api_server, tmp_path_factory.mktemp("kubectl")))


class Quota:
    """The namespace with its quota in force."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self.hard = of_kind(render("retraining"), "ResourceQuota")["kubedistill"]["spec"]["hard"]
        # A controller counts what is used; here there is none.
        status = {"status": {"hard": self.hard, "used": dict.fromkeys(self.hard, "0")}}
        kubectl.run(
            *("patch", "resourcequota", "kubedistill", "--namespace=kubedistill"),
            *("--subresource=status", "--type=merge", f"--patch={json.dumps(status)}"),
        )
        wait_until(self._is_in_force, 90, "the quota")

    def create_pod(self, resources: dict[str, str]) -> str:
        """As the server would keep it; it keeps none."""
        container = {"name": "one", "image": "one"}
        if resources:
            container |= {"resources": {"requests": resources, "limits": resources}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", "namespace": "kubedistill"},
            "spec": {"serviceAccountName": "kubedistill-training", "containers": [container]},
        }
        text = yaml.safe_dump(pod)
        return self._kubectl.run(
            "create", "--dry-run=server", "--filename=-", "--output=yaml", given=text
        )

    def _is_in_force(self) -> bool:
        try:
            self.create_pod({"cpu": "1000000"})
        except AssertionError:
            return True
        return False


@pytest.fixture(scope="module")
def quota(manifests: Manifests) -> Quota:
    manifests.apply("retraining")
    return Quota(manifests.kubectl)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_applied_and_applied_again_without_a_change(
    manifests: Manifests, overlay: str
) -> None:
    applied = manifests.apply(overlay)
    before = manifests.read(applied)

    manifests.apply(overlay)

    assert manifests.read(applied) == before
    assert len(before) > 20


def test_pods_that_say_nothing_get_what_the_quota_asks_for(quota: Quota) -> None:
    """As those that Argo adds; without the defaults, the quota would refuse them."""
    spec = yaml.safe_load(quota.create_pod({}))["spec"]

    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}}
    assert "volumes" not in spec  # no token


def test_pods_beyond_the_quota_are_refused(quota: Quota) -> None:
    gpus = int(quota.hard["requests.nvidia.com/gpu"])
    assert quota.create_pod({"nvidia.com/gpu": str(gpus)})

    with pytest.raises(AssertionError, match="exceeded quota: kubedistill"):
        quota.create_pod({"nvidia.com/gpu": str(gpus + 1)})
