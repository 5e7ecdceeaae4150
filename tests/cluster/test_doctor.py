"""The doctor before a real API server, healthy and in each state that would break a run."""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kubernetes.client import (
    ApiClient,
    ApiextensionsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    RbacAuthorizationV1Api,
)

from components.shared import cluster as surroundings
from pipelines.doctor.addons import check_queues, check_trainer
from pipelines.doctor.api import KubernetesApi, NoAnswer
from pipelines.doctor.cluster import check_namespace, check_version
from pipelines.doctor.examining import Surroundings, examine
from pipelines.doctor.findings import Finding
from pipelines.doctor.gpus import check_gpus
from pipelines.doctor.keyed import check_keyed
from pipelines.doctor.needs import GpuNeed, KeyedNeed, Needs
from pipelines.doctor.rights import check_account, check_training_account
from tests.cluster.api_server import ApiServer
from tests.cluster.holders import wait_until
from tests.cluster.kubeconfig import write_kubeconfig

ACCOUNT = "kubedistill-pipeline"
BASE = Path(__file__).parents[2] / "manifests" / "base"
GPU = "example.com/gpu"
NEEDS = Needs(recipe="digits")
RUNTIME = "kubedistill-torch"


class Cluster:
    """A namespace of its own, and what a test puts into it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.namespace = f"doctor-{uuid.uuid4().hex[:8]}"
        self.admin = server.client()
        self.core = CoreV1Api(self.admin)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.core.create_namespace({"metadata": {"name": self.namespace, "labels": labels}})

    @property
    def api(self) -> KubernetesApi:
        return KubernetesApi(self.admin)

    def add_account(self) -> ApiClient:
        """The account without rights, and a client that is logged in as it."""
        body = {"metadata": {"name": ACCOUNT}}
        self.core.create_namespaced_service_account(self.namespace, body)
        return self.server.client(self.token())

    def token(self) -> str:
        body = {"spec": {"audiences": [], "expirationSeconds": 3600}}
        made = self.core.create_namespaced_service_account_token(ACCOUNT, self.namespace, body)
        return str(made.status.token)

    def grant_what_the_manifests_grant(self) -> None:
        rbac = RbacAuthorizationV1Api(self.admin)
        make = {
            "Role": rbac.create_namespaced_role,
            "RoleBinding": rbac.create_namespaced_role_binding,
        }
        for file in sorted(BASE.glob("*.yaml")):
            for document in yaml.safe_load_all(file.read_text()):
                if document["kind"] in make:
                    for subject in document.get("subjects", []):
                        subject["namespace"] = self.namespace  # as kustomize does
                    make[document["kind"]](self.namespace, document)

    def add_node(self, gpus: int, ready: str = "True", **spec: object) -> None:
        name = f"{self.namespace}-{uuid.uuid4().hex[:6]}"
        self.core.create_node(
            {"metadata": {"name": name, "labels": {"pool": self.namespace}}, "spec": spec}
        )
        status = {
            "allocatable": {GPU: str(gpus), "cpu": "8"},
            "conditions": [{"type": "Ready", "status": ready}],
        }
        self.core.patch_node_status(name, {"status": status})

    def remove(self) -> None:
        self.core.delete_collection_node(label_selector=f"pool={self.namespace}")
        self.core.delete_namespace(self.namespace)

    def define(self, group: str, version: str, kind: str, *fields: str) -> None:
        """A custom resource of any content, whose specification has these fields among others; the
        API server serves it when this returns."""
        plural = f"{kind.lower()}s"
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        spec = {**anything, "properties": dict.fromkeys(fields, anything)}
        schema = {**anything, "properties": {"spec": spec}}
        body = {
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": schema},
                    }
                ],
            },
        }
        ApiextensionsV1Api(self.admin).create_custom_resource_definition(body)
        wait_until(
            lambda: self._serves(f"/apis/{group}/{version}/{plural}"), 90, f"{plural} to be served"
        )

    def undefine(self, group: str) -> None:
        definitions = ApiextensionsV1Api(self.admin)
        for found in definitions.list_custom_resource_definition().items:
            if found.spec.group == group:
                definitions.delete_custom_resource_definition(found.metadata.name)
        wait_until(lambda: not self._serves(f"/apis/{group}"), 90, f"{group} to be gone")

    def add(self, group: str, version: str, kind: str, name: str, **fields: object) -> None:
        body = {
            "apiVersion": f"{group}/{version}",
            "kind": kind,
            "metadata": {"name": name},
            **fields,
        }
        CustomObjectsApi(self.admin).create_namespaced_custom_object(
            group, version, self.namespace, f"{kind.lower()}s", body
        )

    def _serves(self, path: str) -> bool:
        try:
            return self.api.get(path) is not None
        except NoAnswer:
            return False


@pytest.fixture
def cluster(api_server: ApiServer) -> Iterator[Cluster]:
    made = Cluster(api_server)
    yield made
    made.remove()


@pytest.fixture
def trainer(cluster: Cluster) -> Iterator[str]:
    yield "trainer.kubeflow.org"
    cluster.undefine("trainer.kubeflow.org")


@pytest.fixture
def kueue(cluster: Cluster) -> Iterator[str]:
    yield "kueue.x-k8s.io"
    cluster.undefine("kueue.x-k8s.io")


def statuses(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def failures(findings: Iterator[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status == "failed"]


def test_version_of_the_api_is_told(cluster):
    found = check_version(cluster.api)

    assert cluster.server.url in found.said
    assert found.status in {"ok", "warning"}  # as old as the server is


def test_namespace_with_the_standard_is_fine_and_one_that_is_not_there_is_not(cluster):
    assert statuses(check_namespace(cluster.api, cluster.namespace)) == {
        "namespace": "ok",
        "pod security": "ok",
    }
    (missing,) = check_namespace(cluster.api, "nowhere")
    assert (missing.status, missing.said) == ("failed", "there is no namespace nowhere")
    assert "apply -k" in missing.advice


def test_account_that_is_not_there_is_named(cluster):
    (found,) = check_account(cluster.api, NEEDS, cluster.namespace)

    assert found.status == "failed"
    assert ACCOUNT in found.said


def test_account_without_rights_lacks_each_and_with_those_of_the_manifests_none(cluster):
    cluster.add_account()
    needs = replace(NEEDS, runtime=RUNTIME, kserve_namespace=cluster.namespace)

    before = statuses(check_account(cluster.api, needs, cluster.namespace))
    cluster.grant_what_the_manifests_grant()

    assert before.pop("service account") == "ok"
    assert before.pop("right: events") == "warning"  # promotion goes on without
    assert len(before) >= 6
    assert set(before.values()) == {"failed"}
    wait_until(
        lambda: (
            set(statuses(check_account(cluster.api, needs, cluster.namespace)).values()) == {"ok"}
        ),
        90,
        "all rights",
    )


def test_missing_verb_is_named_with_the_rule_that_grants_it(cluster):
    cluster.add_account()

    found = {one.check: one for one in check_account(cluster.api, NEEDS, cluster.namespace)}

    lock = found["right: leases"]
    assert f"{ACCOUNT} may not get, create, update leases" in lock.said
    assert 'apiGroups ["coordination.k8s.io"]' in lock.advice
    assert "right: trainjobs" not in found  # of which a recipe with one node needs nothing


def test_who_may_not_look_is_told_that_and_not_that_it_is_broken(cluster):
    account = KubernetesApi(cluster.add_account())
    cluster.core.create_namespaced_secret(cluster.namespace, {"metadata": {"name": "s3"}})
    needs = replace(NEEDS, gpus=(GpuNeed("train", GPU, 1),), keyed=(KeyedNeed("secret", "s3"),))

    found = [
        *check_namespace(account, cluster.namespace),
        *check_account(account, needs, cluster.namespace),
        *check_gpus(account, needs),
        *check_keyed(account, needs, cluster.namespace),
    ]

    assert {one.status for one in found} == {"unchecked"}


def test_pod_asks_about_its_own_account_without_any_right(cluster, tmp_path, monkeypatch):
    account = KubernetesApi(cluster.add_account())
    (tmp_path / "token").write_text(cluster.token())
    monkeypatch.setattr(surroundings, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr("pipelines.doctor.rights.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    cluster.grant_what_the_manifests_grant()

    wait_until(
        lambda: statuses(check_account(account, NEEDS, cluster.namespace))["right: leases"] == "ok",
        90,
        "the right to Leases",
    )


def test_gpus_are_summed_over_nodes_that_take_pods(cluster):
    selector = {"pool": cluster.namespace}
    need = GpuNeed("train_student", GPU, 2, node_selector=selector)
    cluster.add_node(gpus=8, ready="False")
    cluster.add_node(gpus=8, unschedulable=True)
    cluster.add_node(gpus=1)
    (short,) = check_gpus(cluster.api, replace(NEEDS, gpus=(need,)))
    cluster.add_node(gpus=4)
    (enough,) = check_gpus(cluster.api, replace(NEEDS, gpus=(need,)))
    (too_many,) = check_gpus(cluster.api, replace(NEEDS, gpus=(replace(need, pods=3),)))

    assert (short.status, enough.status, too_many.status) == ("failed", "ok", "failed")
    assert "there are 1 on usable nodes" in short.said
    assert "there are 5 on usable nodes" in enough.said
    assert "at most 4 on one" in enough.said


def test_secrets_and_config_maps_are_there_with_their_keys(cluster):
    needs = replace(
        NEEDS,
        keyed=(
            KeyedNeed("secret", "kubedistill-s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
            KeyedNeed("config map", "kubedistill-config", ("MLFLOW_TRACKING_URI",)),
            KeyedNeed("secret", "kubedistill-mlflow", optional=True),
        ),
        pull_secrets=("registry",),
    )

    def look() -> dict[str, Finding]:
        return {one.check: one for one in check_keyed(cluster.api, needs, cluster.namespace)}

    assert {check: one.status for check, one in look().items()} == {
        "secret: kubedistill-s3": "failed",
        "config map: kubedistill-config": "failed",
        "secret: kubedistill-mlflow": "warning",
        "pull secret: registry": "failed",
    }

    cluster.core.create_namespaced_secret(
        cluster.namespace,
        {"metadata": {"name": "kubedistill-s3"}, "stringData": {"AWS_ACCESS_KEY_ID": "hunter2"}},
    )
    cluster.core.create_namespaced_config_map(
        cluster.namespace,
        {"metadata": {"name": "kubedistill-config"}, "data": {"MLFLOW_TRACKING_URI": ""}},
    )
    found = look()
    assert "has no key AWS_SECRET_ACCESS_KEY" in found["secret: kubedistill-s3"].said
    assert "hunter2" not in json.dumps([one.said for one in found.values()])
    assert "is empty at MLFLOW_TRACKING_URI" in found["config map: kubedistill-config"].said

    cluster.core.patch_namespaced_secret(
        "kubedistill-s3", cluster.namespace, {"stringData": {"AWS_SECRET_ACCESS_KEY": "x"}}
    )
    cluster.core.patch_namespaced_config_map(
        "kubedistill-config", cluster.namespace, {"data": {"MLFLOW_TRACKING_URI": "http://m"}}
    )
    cluster.core.create_namespaced_secret(
        cluster.namespace,
        {
            "metadata": {"name": "registry"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": "{}"},
        },
    )
    assert failures(iter(look().values())) == []


def test_trainer_serves_the_version_and_has_the_runtime(cluster, trainer):
    needs = replace(NEEDS, runtime=RUNTIME)

    def look(with_needs: Needs = needs) -> list[Finding]:
        return list(check_trainer(cluster.api, with_needs, cluster.namespace))

    assert look(NEEDS) == []  # training on one node does without
    assert [one.status for one in look()] == ["failed"]
    assert [one.status for one in look(Needs())] == ["warning"]

    cluster.define(trainer, "v2", "TrainJob")
    (other,) = look()
    assert other.status == "failed"
    assert "served as v2" in other.said
    cluster.undefine(trainer)

    cluster.define(trainer, "v1alpha1", "TrainJob")
    (old,) = look()
    assert (old.status, old.advice) == (
        "failed",
        "install Kubeflow Trainer 2.2 or later, or train on one node",
    )
    assert "has no runtimePatches, activeDeadlineSeconds" in old.said
    assert [one.status for one in look(Needs())] == ["warning"]
    cluster.undefine(trainer)

    cluster.define(trainer, "v1alpha1", "TrainJob", "runtimePatches", "activeDeadlineSeconds")
    cluster.define(trainer, "v1alpha1", "TrainingRuntime")
    served, runtime = look()
    assert (served.status, runtime.status) == ("ok", "failed")
    assert "there is no TrainingRuntime kubedistill-torch" in runtime.said

    cluster.add(trainer, "v1alpha1", "TrainingRuntime", "kubedistill-torch")
    assert [one.status for one in look()] == ["ok", "ok"]

    account = KubernetesApi(cluster.add_account())
    own = list(check_trainer(account, needs, cluster.namespace))
    assert [one.status for one in own] == ["unchecked", "unchecked"]
    assert "may get customresourcedefinitions" in own[0].advice


def test_cluster_that_refuses_even_to_say_what_it_serves_is_not_called_broken(cluster):
    nobody = cluster.server.client()
    nobody.configuration.api_key.clear()
    needs = replace(NEEDS, runtime=RUNTIME, queues=("kubedistill",))

    found = [
        *check_trainer(KubernetesApi(nobody), needs, cluster.namespace),
        *check_queues(KubernetesApi(nobody), needs, cluster.namespace),
    ]

    assert statuses(iter(found)) == {
        "trainer": "unchecked",
        f"runtime: {RUNTIME}": "unchecked",
        "queue": "unchecked",
    }


def test_account_of_train_jobs_is_looked_for_where_there_are_any(cluster, tmp_path, monkeypatch):
    enter(monkeypatch, write_kubeconfig(tmp_path / "kubeconfig", cluster.server))
    needs = replace(NEEDS, runtime=RUNTIME)

    assert list(check_training_account(cluster.api, NEEDS, cluster.namespace)) == []
    (missing,) = check_training_account(cluster.api, needs, cluster.namespace)
    body = {"metadata": {"name": "kubedistill-training"}}
    cluster.core.create_namespaced_service_account(cluster.namespace, body)
    (there,) = check_training_account(cluster.api, needs, cluster.namespace)

    assert (missing.status, there.status) == ("failed", "ok")
    assert "there is no account kubedistill-training" in missing.said
    whole = examine(needs, Surroundings(namespace=cluster.namespace))
    assert "service account of TrainJobs" in {one.check for one in whole}


def test_queue_of_the_pod_label_is_there_and_active(cluster, kueue):
    needs = replace(NEEDS, queues=("kubedistill",))

    def look() -> Finding:
        (found,) = check_queues(cluster.api, needs, cluster.namespace)
        return found

    assert list(check_queues(cluster.api, NEEDS, cluster.namespace)) == []
    assert "Kueue is not installed" in look().said

    cluster.define(kueue, "v1beta1", "LocalQueue")
    assert look().said.startswith("there is no LocalQueue kubedistill")

    condition = {"type": "Active", "status": "False", "message": "no ClusterQueue all"}
    status = {"conditions": [condition]}
    cluster.add(kueue, "v1beta1", "LocalQueue", "kubedistill", status=status)
    assert (look().status, look().said) == ("failed", "is not active: no ClusterQueue all")

    CustomObjectsApi(cluster.admin).patch_namespaced_custom_object(
        kueue,
        "v1beta1",
        cluster.namespace,
        "localqueues",
        "kubedistill",
        {"status": {"conditions": [condition | {"status": "True"}]}},
    )
    assert look().status == "ok"


@pytest.mark.parametrize("sick", ["down", "unknown to it"])
def test_api_that_gives_no_answer_is_one_failure(cluster, tmp_path, monkeypatch, sick):
    wrong = {"url": "https://127.0.0.1:1"} if sick == "down" else {"token": "guessed"}
    enter(monkeypatch, write_kubeconfig(tmp_path / "kubeconfig", cluster.server, **wrong))

    found = list(examine(NEEDS, Surroundings(namespace=cluster.namespace)))

    assert [one.check for one in found if one.status == "failed"] == ["kubernetes"]
    assert {one.check for one in found} >= {"mlflow", "kubeflow", "images"}


def test_whole_command_before_a_cluster_without_kubedistill(cluster, tmp_path, monkeypatch):
    enter(monkeypatch, write_kubeconfig(tmp_path / "kubeconfig", cluster.server))

    found = statuses(examine(NEEDS, Surroundings(namespace=cluster.namespace)))

    assert (found["namespace"], found["service account"]) == ("ok", "failed")
    cluster.add_account()
    cluster.grant_what_the_manifests_grant()
    wait_until(
        lambda: failures(examine(NEEDS, Surroundings(namespace=cluster.namespace))) == [],
        90,
        "nothing to be missing any more",
    )


def enter(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """The surroundings of a workstation whose kubeconfig it is."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "KFP_", "KF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(path))
