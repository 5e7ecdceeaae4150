"""Applying the InferenceService of a champion to a real Kubernetes API server."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from kubernetes import client

from components.registration.hooks.kserve import (
    API_VERSION,
    GROUP,
    PLURAL,
    ApplyFailed,
    Served,
    inference_service,
)
from components.registration.hooks.kserve_apply import apply
from components.shared.errors import UserError
from components.shared.recipe.hooks import KServeSpec
from tests.cluster.api_server import ApiServer
from tests.cluster.definitions import definition
from tests.cluster.kubeconfig import write_kubeconfig

NAMESPACE = "serving"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:promoter"
SPEC = KServeSpec(
    namespace=NAMESPACE,
    service_account="s3-reader",
    runtime="own-mlserver",
    max_replicas=3,
    requests={"cpu": "500m", "memory": "1Gi"},
    limits={"cpu": 1},
)
SERVED = Served(
    model="digits-student",
    alias="champion",
    version="1",
    artifact_uri="s3://mlflow/1/models/m-1/artifacts",
    run_id="run-1",
    model_digest="e" * 64,
)
NEXT = replace(SERVED, version="2", artifact_uri="s3://mlflow/1/models/m-2/artifacts")

AMOUNTS = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
    },
}
TEXT = {"type": "string"}
NUMBER = {"type": "integer", "format": "int32"}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# The part of KServe's own definition that the manifest uses: other fields would be dropped.
MODEL = fields(
    modelFormat=fields(name=TEXT, version=TEXT),
    protocolVersion=TEXT,
    storageUri=TEXT,
    runtime=TEXT,
    resources=fields(requests=AMOUNTS, limits=AMOUNTS),
)
PREDICTOR = fields(
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    serviceAccountName=TEXT,
    timeout={"type": "integer"},
    model=MODEL,
)
STATUS = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION = definition(
    GROUP,
    API_VERSION,
    PLURAL,
    "InferenceService",
    fields(spec=fields(predictor=PREDICTOR), status=STATUS),
    status=True,
)


@pytest.fixture(scope="module")
def bare_cluster(api_server: ApiServer) -> client.ApiClient:
    """A cluster with the namespace, and without KServe."""
    api = api_server.client()
    try:
        client.CoreV1Api(api).create_namespace({"metadata": {"name": NAMESPACE}})
    except client.ApiException as error:
        if error.status != 409:
            raise
    return api


@pytest.fixture(scope="module")
def kserve(bare_cluster):
    """The cluster, with KServe's resource defined."""
    definitions = client.ApiextensionsV1Api(bare_cluster)
    definitions.create_custom_resource_definition(DEFINITION)
    _wait_until(lambda: _list(bare_cluster) is not None)
    yield bare_cluster
    definitions.delete_custom_resource_definition(DEFINITION["metadata"]["name"])
    _wait_until(lambda: _list(bare_cluster) is None)


@pytest.fixture
def cluster(kserve):
    """The cluster without any service."""
    yield kserve
    for found in _list(kserve) or []:
        client.CustomObjectsApi(kserve).delete_namespaced_custom_object(
            GROUP, API_VERSION, NAMESPACE, PLURAL, found["metadata"]["name"]
        )


def read(api: client.ApiClient, name: str = "digits-student") -> dict[str, Any]:
    return client.CustomObjectsApi(api).get_namespaced_custom_object(
        GROUP, API_VERSION, NAMESPACE, PLURAL, name
    )


def patch(api: client.ApiClient, change: dict[str, Any]) -> None:
    """What a person does with ``kubectl patch``."""
    client.CustomObjectsApi(api).patch_namespaced_custom_object(
        GROUP, API_VERSION, NAMESPACE, PLURAL, "digits-student", change
    )


def as_account(api: client.ApiClient) -> client.ApiClient:
    """The cluster as a service account sees it."""
    found = client.ApiClient(api.configuration)
    found.set_default_header("Impersonate-User", ACCOUNT)
    return found


def allow(api: client.ApiClient, *verbs: str) -> None:
    """Give the service account rights on InferenceServices, and no others."""
    rights = client.RbacAuthorizationV1Api(api)
    name = {"name": f"promoter-{'-'.join(verbs)}"}
    rule = {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": list(verbs)}
    rights.create_namespaced_role(NAMESPACE, {"metadata": name, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", **name}
    subject = {"kind": "ServiceAccount", "namespace": NAMESPACE, "name": "promoter"}
    rights.create_namespaced_role_binding(
        NAMESPACE, {"metadata": name, "roleRef": role, "subjects": [subject]}
    )


@pytest.fixture
def account(cluster):
    """The cluster as a service account sees it that has no rights yet."""
    yield as_account(cluster)
    rights = client.RbacAuthorizationV1Api(cluster)
    for found in rights.list_namespaced_role(NAMESPACE).items:
        rights.delete_namespaced_role_binding(found.metadata.name, NAMESPACE)
        rights.delete_namespaced_role(found.metadata.name, NAMESPACE)


def test_cluster_without_kserve_says_so(bare_cluster):
    # The first test, before KServe's resource is defined.
    with pytest.raises(ApplyFailed, match="KServe is not installed there"):
        apply(inference_service(SPEC, SERVED), bare_cluster)


def test_service_is_made_as_the_manifest_says(cluster):
    manifest = inference_service(SPEC, SERVED)

    assert apply(manifest, cluster) is True

    found = read(cluster)
    assert found["spec"] == manifest["spec"]
    assert found["metadata"]["labels"] == manifest["metadata"]["labels"]
    assert found["metadata"]["annotations"] == manifest["metadata"]["annotations"]
    (manager,) = found["metadata"]["managedFields"]
    assert (manager["manager"], manager["operation"]) == ("kubedistill", "Apply")


def test_applied_twice_changes_nothing(cluster):
    apply(inference_service(SPEC, SERVED), cluster)
    before = read(cluster)

    assert apply(inference_service(SPEC, SERVED), cluster) is False

    assert read(cluster) == before


def test_next_champion_takes_the_place_of_the_last(cluster):
    apply(inference_service(SPEC, SERVED), cluster)

    assert apply(inference_service(SPEC, NEXT), cluster) is True

    found = read(cluster)
    assert found["spec"]["predictor"]["model"]["storageUri"] == NEXT.artifact_uri
    assert found["metadata"]["labels"]["kubedistill.io/version"] == "2"
    assert len(_list(cluster) or []) == 1


def test_rollback_to_the_same_files_is_still_seen_as_a_change(cluster):
    apply(inference_service(SPEC, SERVED), cluster)

    again = inference_service(SPEC, replace(SERVED, version="3"))

    assert apply(again, cluster) is True


def test_field_that_the_recipe_drops_is_dropped(cluster):
    apply(inference_service(SPEC, SERVED), cluster)

    assert apply(inference_service(KServeSpec(namespace=NAMESPACE), SERVED), cluster) is True

    assert set(read(cluster)["spec"]["predictor"]) == {"minReplicas", "model"}


def test_what_others_set_is_kept_and_what_they_overwrote_is_set_back(cluster):
    apply(inference_service(SPEC, SERVED), cluster)
    patch(
        cluster,
        {
            "metadata": {"labels": {"team": "vision", "kubedistill.io/version": "by-hand"}},
            "spec": {"predictor": {"timeout": 60, "model": {"storageUri": "s3://by/hand"}}},
        },
    )

    assert apply(inference_service(SPEC, SERVED), cluster) is True

    found = read(cluster)
    assert found["metadata"]["labels"]["team"] == "vision"
    assert found["metadata"]["labels"]["kubedistill.io/version"] == "1"
    assert found["spec"]["predictor"]["timeout"] == 60
    assert found["spec"]["predictor"]["model"]["storageUri"] == SERVED.artifact_uri


def test_two_that_apply_at_the_same_moment_do_not_get_in_each_others_way(api_server, cluster):
    manifests = [
        inference_service(SPEC, replace(SERVED, version=str(version))) for version in range(1, 9)
    ]

    with ThreadPoolExecutor(len(manifests)) as pool:
        changed = list(pool.map(lambda m: apply(m, api_server.client()), manifests))

    assert any(changed)
    assert read(cluster)["spec"] == manifests[0]["spec"]
    assert read(cluster)["metadata"]["labels"] in [m["metadata"]["labels"] for m in manifests]


def test_rights_that_the_error_names_are_enough(cluster, account):
    with pytest.raises(ApplyFailed, match="serving/digits-student: not allowed") as caught:
        apply(inference_service(SPEC, SERVED), account)
    assert "promoter" in str(caught.value)
    assert "needs get, create and patch" in str(caught.value)
    assert _list(cluster) == []

    allow(cluster, "get", "create", "patch")

    _wait_until(lambda: _allowed(account))
    assert apply(inference_service(SPEC, NEXT), account) is True
    assert apply(inference_service(SPEC, NEXT), account) is False


def test_reading_alone_does_not_let_one_write(cluster, account):
    apply(inference_service(SPEC, SERVED), cluster)
    allow(cluster, "get")
    _wait_until(lambda: _allowed(account))

    with pytest.raises(ApplyFailed, match='not allowed .* cannot patch resource "inferenceserv'):
        apply(inference_service(SPEC, NEXT), account)

    assert read(cluster)["metadata"]["labels"]["kubedistill.io/version"] == "1"


def test_namespace_that_is_not_there_is_named(cluster):
    spec = KServeSpec(namespace="nowhere")

    with pytest.raises(ApplyFailed, match=r"nowhere/digits-student: there is no namespace nowhere"):
        apply(inference_service(spec, SERVED), cluster)


def test_manifest_that_the_cluster_refuses_says_why(cluster):
    manifest = inference_service(SPEC, SERVED)
    manifest["spec"]["predictor"]["minReplicas"] = "many"

    with pytest.raises(ApplyFailed, match="answered 4.*minReplicas"):
        apply(manifest, cluster)
    assert _list(cluster) == []


def test_credentials_that_are_out_of_date_are_named(api_server, cluster):
    with pytest.raises(ApplyFailed, match="its credentials are gone or out of date") as caught:
        apply(inference_service(SPEC, SERVED), api_server.client("of-nobody"))
    assert "of-nobody" not in str(caught.value)


def test_cluster_that_cannot_be_reached_is_a_failure_and_not_a_wait(cluster):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    configuration = client.Configuration(host=f"https://127.0.0.1:{port}")

    with pytest.raises(ApplyFailed, match="the Kubernetes API cannot be reached") as caught:
        apply(inference_service(SPEC, SERVED), client.ApiClient(configuration))
    assert len(str(caught.value)) < 300


def test_cluster_with_an_unknown_certificate_is_not_trusted(cluster):
    configuration = client.Configuration(host=cluster.configuration.host)

    with pytest.raises(ApplyFailed, match="the Kubernetes API cannot be reached .*certificate"):
        apply(inference_service(SPEC, SERVED), client.ApiClient(configuration))


def test_cluster_of_the_kubeconfig_is_the_default(api_server, cluster, tmp_path, monkeypatch):
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert apply(inference_service(SPEC, SERVED)) is True
    assert read(cluster)["metadata"]["name"] == "digits-student"


def test_without_any_cluster_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(UserError, match="point KUBECONFIG"):
        apply(inference_service(SPEC, SERVED))


def _list(api: client.ApiClient) -> list[dict[str, Any]] | None:
    """All services; null where the cluster does not know what that is."""
    try:
        found = client.CustomObjectsApi(api).list_namespaced_custom_object(
            GROUP, API_VERSION, NAMESPACE, PLURAL
        )
    except client.ApiException as error:
        if error.status != 404:
            raise
        return None
    items: list[dict[str, Any]] = found["items"]
    return items


def _allowed(account: client.ApiClient) -> bool:
    """Whether the rights that were given have arrived."""
    try:
        read(account)
    except client.ApiException as error:
        return error.status != 403
    return True


def _wait_until(condition) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "the API server took too long"
        time.sleep(0.1)
