"""The lock needs what manifests/base grants, and manifests/base grants nothing else."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import (
    ApiClient,
    ApiException,
    AuthorizationV1Api,
    CoordinationV1Api,
    CoreV1Api,
    RbacAuthorizationV1Api,
)

from components.registration.locking.lease_api import LeaseApi
from components.registration.locking.lease_record import new_lease
from components.registration.locking.names import lease_name
from components.shared.errors import UserError
from tests.cluster.api_server import ApiServer
from tests.cluster.holders import Holders, wait_until

BASE = Path(__file__).parents[2] / "manifests" / "base"
ACCOUNT = "kubedistill-promotion"


class Granted:
    """A namespace with the service account of manifests/base, and its token."""

    def __init__(self, server: ApiServer) -> None:
        self.namespace = f"kubedistill-{uuid.uuid4()}"
        self.admin = server.client()
        core = CoreV1Api(self.admin)
        core.create_namespace({"metadata": {"name": self.namespace}})
        for document in yaml.safe_load_all((BASE / "promotion-lock.yaml").read_text()):
            self._apply(document)
        request = core.create_namespaced_service_account_token(
            ACCOUNT, self.namespace, {"spec": {"audiences": [], "expirationSeconds": 3600}}
        )
        self.token = request.status.token
        self.client: ApiClient = server.client(self.token)
        self._wait_for({"get", "create", "update"})

    def leases(self, namespace: str | None = None) -> LeaseApi:
        return LeaseApi(self.client, namespace or self.namespace, "some-lock")

    def set_verbs(self, *verbs: str) -> None:
        """Leave only some of the rights."""
        rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}]
        RbacAuthorizationV1Api(self.admin).patch_namespaced_role(
            "kubedistill-promotion-lock", self.namespace, {"rules": rules}
        )
        self._wait_for(set(verbs))

    def _wait_for(self, verbs: set[str]) -> None:
        """The server learns of a new role a moment after it was written."""

        def may(verb: str) -> bool:
            asked = {"verb": verb, "resource": "leases", "group": "coordination.k8s.io"}
            return (
                AuthorizationV1Api(self.client)
                .create_self_subject_access_review(
                    {"spec": {"resourceAttributes": {"namespace": self.namespace, **asked}}}
                )
                .status.allowed
            )

        wait_until(
            lambda: {verb for verb in ("get", "create", "update") if may(verb)} == verbs,
            90,
            f"the rights {verbs}",
        )

    def _apply(self, document: dict[str, Any]) -> None:
        rbac = RbacAuthorizationV1Api(self.admin)
        create = {
            "ServiceAccount": CoreV1Api(self.admin).create_namespaced_service_account,
            "Role": rbac.create_namespaced_role,
            "RoleBinding": rbac.create_namespaced_role_binding,
        }[document["kind"]]
        for subject in document.get("subjects", []):
            subject["namespace"] = self.namespace  # as kustomize does
        create(self.namespace, document)


@pytest.fixture
def granted(api_server: ApiServer) -> Iterator[Granted]:
    made = Granted(api_server)
    yield made
    CoreV1Api(made.admin).delete_namespace(made.namespace)


def test_pod_holds_a_lease_of_its_own_namespace(
    granted: Granted, holders: Holders, tmp_path: Path
) -> None:
    name = lease_name("digits-student", "champion")
    CoordinationV1Api(granted.admin).create_namespaced_lease(
        granted.namespace, {"metadata": {"name": name}, "spec": {}}
    )
    (tmp_path / "token").write_text(granted.token)
    (tmp_path / "ca.crt").write_bytes(holders.server.certificate.read_bytes())
    (tmp_path / "namespace").write_text(granted.namespace)

    pod = holders.start(
        "write_in_pod",
        "pod",
        service_account=str(tmp_path),
        environment={
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(holders.server.port),
        },
    )

    pod.succeed()
    (line,) = holders.lines()
    assert line.startswith(
        f"lease:{granted.namespace}/{name}, lease {granted.namespace}/{name}, term 1 of "
    )


def test_lock_may_create_read_and_write_its_lease(granted: Granted) -> None:
    leases = granted.leases()

    assert leases.read(60) is None
    lease = leases.create(new_lease("some-lock", "me", 30), 60)
    released = leases.replace(lease.released(), 60)

    assert leases.read(60) == released
    assert released.holder is None


def test_service_account_has_no_other_right_in_the_namespace(granted: Granted) -> None:
    review = AuthorizationV1Api(granted.client).create_self_subject_rules_review(
        {"spec": {"namespace": granted.namespace}}
    )
    # Every account may ask what it may do.
    rules = [
        (tuple(rule.api_groups), tuple(rule.resources), tuple(rule.verbs))
        for rule in review.status.resource_rules
        if rule.api_groups not in (["authorization.k8s.io"], ["authentication.k8s.io"])
    ]

    assert rules == [(("coordination.k8s.io",), ("leases",), ("get", "create", "update"))]


def test_service_account_is_refused_what_it_was_not_given(granted: Granted) -> None:
    leases, core = CoordinationV1Api(granted.client), CoreV1Api(granted.client)
    granted.leases().create(new_lease("some-lock", "me", 30), 60)
    attempts = (
        lambda: leases.list_namespaced_lease(granted.namespace),
        lambda: leases.delete_namespaced_lease("some-lock", granted.namespace),
        lambda: leases.patch_namespaced_lease("some-lock", granted.namespace, {"spec": {}}),
        lambda: core.list_namespaced_secret(granted.namespace),
        lambda: core.list_namespaced_pod(granted.namespace),
        lambda: leases.read_namespaced_lease("some-lock", "default"),
        core.list_namespace,
    )

    for attempt in attempts:
        with pytest.raises(ApiException) as refused:
            attempt()
        assert refused.value.status == 403


@pytest.mark.parametrize("verb", ["get", "create", "update"])
def test_missing_right_is_named(granted: Granted, verb: str) -> None:
    document = new_lease("some-lock", "me", 30)
    requests = {
        "get": lambda leases: leases.read(60),
        "create": lambda leases: leases.create(document, 60),
        "update": lambda leases: leases.replace(document, 60),
    }
    granted.set_verbs(*(requests.keys() - {verb}))

    with pytest.raises(UserError) as error:
        requests[verb](granted.leases())

    message = str(error.value)
    assert f"the right to {verb} leases (coordination.k8s.io)" in message
    assert f"in the namespace {granted.namespace!r}" in message
    assert f'User "system:serviceaccount:{granted.namespace}:{ACCOUNT}"' in message
    assert "manifests/base/promotion-lock.yaml" in message


def test_credentials_that_are_not_accepted_are_an_error_of_the_user(api_server: ApiServer) -> None:
    leases = LeaseApi(api_server.client("guessed"), "default", "some-lock")

    with pytest.raises(UserError, match="does not accept these credentials"):
        leases.read(60)


def test_namespace_that_does_not_exist_is_an_error_of_the_user(api_server: ApiServer) -> None:
    leases = LeaseApi(api_server.client(), "nowhere", "some-lock")

    with pytest.raises(UserError, match="there is no namespace 'nowhere'"):
        leases.create(new_lease("some-lock", "me", 30), 60)
