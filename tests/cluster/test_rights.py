"""Each service account may do what is listed here, and is refused everything else.

"Everything" are all verbs of all resources that the server knows, those of Argo, Trainer, KServe
and Kubeflow among them, in the account's own namespace, in another, and in all at once.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from kubernetes.client import CoreV1Api

from tests.cluster.api_server import ApiServer
from tests.cluster.definitions import definition
from tests.cluster.holders import wait_until
from tests.cluster.kubectl import Kubectl
from tests.manifests.rendering import render

NAMESPACE, OTHER, EVERYWHERE = "kubedistill", "default", ""
APPLIED = {"Namespace", "Role", "RoleBinding", "ServiceAccount"}

Right = tuple[str, str, str]
"""API group, resource (with a name after a colon, where the right is for one object), verb."""


def rights(group: str, resource: str, *verbs: str) -> set[Right]:
    return {(group, resource, verb) for verb in verbs}


EVERYBODY = {
    *rights("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    *rights("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
}
"""Kubernetes lets every account ask what it may do."""
PROMOTION = {
    *rights("coordination.k8s.io", "leases", "get", "create", "update"),
    *rights("serving.kserve.io", "inferenceservices", "get", "create", "patch"),
    *rights("", "events", "create"),
}
RIGHTS: dict[str, set[Right]] = {
    "kubedistill-pipeline": {
        *PROMOTION,
        *rights("trainer.kubeflow.org", "trainjobs", "get", "list", "watch", "create", "delete"),
        *rights("", "pods", "get", "list"),
        *rights("", "pods/log", "get"),
        *rights("", "configmaps:kfp-launcher", "get"),
        *rights("", "secrets:mlpipeline-minio-artifact", "get"),
        *rights("argoproj.io", "workflowtaskresults", "create", "patch"),
    },
    "kubedistill-promotion": PROMOTION,
    "kubedistill-training": set(),
    "kubedistill-submit": {
        *rights("pipelines.kubeflow.org", "experiments", "get", "list", "create"),
        *rights("pipelines.kubeflow.org", "pipelines", "get", "list", "create"),
        *rights("pipelines.kubeflow.org", "runs", "get", "list", "create"),
    },
}

DEFINED = {
    "argoproj.io": ["workflows", "workflowtaskresults", "workflowtemplates", "cronworkflows"],
    "trainer.kubeflow.org": ["trainjobs", "trainingruntimes"],
    "serving.kserve.io": ["inferenceservices", "servingruntimes"],
}
"""Resources of others, which a bare server does not know."""
USUAL = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
KUBEFLOW = {
    "experiments": ("archive", "unarchive"),
    "jobs": ("enable", "disable"),
    "pipelines": (),
    "runs": ("archive", "unarchive", "retry", "terminate", "reportMetrics", "readArtifact"),
    "visualizations": (),
}
"""Resources that are rows of Kubeflow's own, and what it asks about beside the usual verbs."""
SPECIAL = {
    *rights("", "users", "impersonate"),
    *rights("", "groups", "impersonate"),
    *rights("", "serviceaccounts", "impersonate"),
    *rights("rbac.authorization.k8s.io", "roles", "bind", "escalate"),
    *rights("rbac.authorization.k8s.io", "clusterroles", "bind", "escalate"),
    *rights("certificates.k8s.io", "signers", "approve", "sign"),
    *rights("policy", "podsecuritypolicies", "use"),
    *rights("*", "*", "*", "get"),
}
"""Verbs that no list of resources names."""


@dataclass(frozen=True)
class Account:
    """A service account with a token of its own, as its pods have it."""

    server: ApiServer
    http: urllib3.PoolManager
    token: str

    def may(self, right: Right, namespace: str) -> bool:
        """What the server says to the account itself."""
        group, resource, verb = right
        resource, _, name = resource.partition(":")
        resource, _, part = resource.partition("/")
        asked = {
            "namespace": namespace,
            "group": group,
            "resource": resource,
            "subresource": part,
            "name": name,
            "verb": verb,
        }
        answer = self.http.request(
            "POST",
            f"{self.server.url}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            body=json.dumps(
                {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": asked},
                }
            ),
        )
        assert answer.status == 201, answer.data
        allowed: bool = json.loads(answer.data)["status"]["allowed"]
        return allowed

    def allowed(self, among: set[Right], namespace: str) -> set[Right]:
        ordered = sorted(among)
        with ThreadPoolExecutor(4) as threads:
            answers = threads.map(lambda right: self.may(right, namespace), ordered)
            return {right for right, may in zip(ordered, answers, strict=True) if may}


class Cluster:
    """The server with the accounts and roles of the manifests, and all that can be asked about."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server = server
        self.http = urllib3.PoolManager(maxsize=4, ca_certs=str(server.certificate), retries=False)
        self._kubectl = Kubectl(server, folder)
        definitions = [bare_definition(group, name) for group in DEFINED for name in DEFINED[group]]
        self._own = [found for found in definitions if not self._is_known(found)]
        accounts = [found for found in render("retraining") if found["kind"] in APPLIED]
        given = yaml.safe_dump_all([*self._own, *accounts])
        self._kubectl.run("apply", "--server-side", "--filename=-", given=given)
        wait_until(lambda: all(map(self._is_known, definitions)), 90, "the resources of others")
        self.every_right = self._every_right()
        wait_until(self._roles_have_arrived, 90, "the rights of the accounts")

    def account(self, name: str) -> Account:
        request = CoreV1Api(self.server.client()).create_namespaced_service_account_token(
            name, NAMESPACE, {"spec": {"audiences": [], "expirationSeconds": 3600}}
        )
        return Account(self.server, self.http, request.status.token)

    def forget(self) -> None:
        """Take away the resources of others again, which other tests define in full."""
        self._kubectl.run("delete", "--filename=-", given=yaml.safe_dump_all(self._own))

    def _roles_have_arrived(self) -> bool:
        return all(
            self.account(name).may(right, NAMESPACE)
            for name, granted in RIGHTS.items()
            for right in granted
        )

    def _is_known(self, found: dict[str, Any]) -> bool:
        names = self._kubectl.run("api-resources", "--no-headers", "--output=name").split()
        return found["metadata"]["name"] in names

    def _every_right(self) -> set[Right]:
        found = set(SPECIAL)
        for name, more in KUBEFLOW.items():
            found |= rights("pipelines.kubeflow.org", name, *USUAL, *more)
        for group, resources in self._resources():
            for resource in resources:
                found |= rights(group, resource["name"], *resource["verbs"])
        # One object of a kind, where a right may be for one.
        for resource in ("configmaps", "secrets"):
            for name in ("kfp-launcher", "mlpipeline-minio-artifact", "any-other"):
                found |= rights("", f"{resource}:{name}", *USUAL)
        return found

    def _resources(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        yield "", self._get("/api/v1")["resources"]
        for group in self._get("/apis")["groups"]:
            for version in group["versions"]:
                path = f"/apis/{version['groupVersion']}"
                yield group["name"], self._get(path)["resources"]

    def _get(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.server.token}"}
        answer = self.http.request("GET", f"{self.server.url}{path}", headers=headers)
        assert answer.status == 200, answer.data
        found: dict[str, Any] = json.loads(answer.data)
        return found


def bare_definition(group: str, name: str) -> dict[str, Any]:
    """A resource of others: its name is all that rights are about."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    kind = name.removesuffix("s").capitalize()
    return definition(group, "v1alpha1", name, kind, schema, status=False)


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(api_server, tmp_path_factory.mktemp("rights"))
    yield found
    found.forget()


def test_what_is_asked_about_is_everything(cluster: Cluster) -> None:
    for granted in RIGHTS.values():
        assert granted <= cluster.every_right
    assert len(cluster.every_right) > 400


@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_account_may_do_what_is_listed_and_nothing_else(cluster: Cluster, name: str) -> None:
    account = cluster.account(name)

    assert account.allowed(cluster.every_right, NAMESPACE) == RIGHTS[name] | EVERYBODY


@pytest.mark.parametrize("namespace", [OTHER, EVERYWHERE])
@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_account_has_no_right_elsewhere(cluster: Cluster, name: str, namespace: str) -> None:
    account = cluster.account(name)

    assert account.allowed(cluster.every_right, namespace) == EVERYBODY
