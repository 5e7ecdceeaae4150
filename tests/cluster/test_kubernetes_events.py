"""Events of moves, written by a real promotion in a pod's surroundings to a real API server."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import ApiClient, ApiException, CoreV1Api, RbacAuthorizationV1Api

from components.registration.hooks.cloud_event import Origin, event_of_move
from components.registration.hooks.kubernetes_event import Pod, own_pod, write_event
from components.registration.promotion.moves import Entry, Move
from components.shared import cluster
from tests.cluster.api_server import ApiServer
from tests.cluster.holders import wait_until

ACCOUNT = "runs"
ORIGIN = Origin("https://mlflow.example.org", "digits-student", "champion")


class Surroundings:
    """A namespace with a service account, and what the kubelet puts into its pods."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.namespace = f"events-{uuid.uuid4().hex[:8]}"
        self.admin = server.client()
        core = CoreV1Api(self.admin)
        core.create_namespace({"metadata": {"name": self.namespace}})
        core.create_namespaced_service_account(self.namespace, {"metadata": {"name": ACCOUNT}})
        token = core.create_namespaced_service_account_token(
            ACCOUNT, self.namespace, {"spec": {"audiences": [], "expirationSeconds": 3600}}
        ).status.token
        (folder / "token").write_text(token)
        (folder / "namespace").write_text(self.namespace)
        (folder / "ca.crt").write_bytes(server.certificate.read_bytes())
        self.account: ApiClient = server.client(token)

    def grant(self) -> None:
        """The one right that events need."""
        rbac = RbacAuthorizationV1Api(self.admin)
        rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]
        rbac.create_namespaced_role(self.namespace, {"metadata": {"name": "r"}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        rbac.create_namespaced_role_binding(
            self.namespace, {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]}
        )
        wait_until(self._may, 90, "the right to create events")

    def events(self) -> list[dict[str, object]]:
        found = CoreV1Api(self.admin).list_namespaced_event(
            self.namespace, field_selector="source=kubedistill", _preload_content=False
        )
        items: list[dict[str, object]] = json.loads(found.data)["items"]
        return items

    def _may(self) -> bool:
        dry = {"metadata": {"name": "dry"}, "involvedObject": {"namespace": self.namespace}}
        try:
            CoreV1Api(self.account).create_namespaced_event(self.namespace, dry, dry_run="All")
        except ApiException as error:
            return error.status != 403
        return True


@pytest.fixture
def around(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Surroundings]:
    folder = tmp_path / "account"
    folder.mkdir()
    found = Surroundings(api_server, folder)
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api_server.port))
    monkeypatch.setenv("KFP_POD_NAME", "digits-x7-123")
    monkeypatch.setenv("KFP_POD_UID", "0af1")
    yield found
    CoreV1Api(found.admin).delete_namespace(found.namespace)


def promotion(sequence: int = 2):
    move = Move(
        sequence=sequence,
        action="promote",
        at="2026-11-27T10:30:00.123456Z",
        by="ada",
        version="3",
        champion_before="2",
        champion_after="3",
        reason="its gates passed",
        run_id="run-1",
        lock="a lock",
        previous="",
    )
    event = event_of_move(Entry.of(move), ORIGIN)
    assert event is not None
    return event


def pod() -> Pod:
    found = own_pod()
    assert found is not None
    return found


def test_right_to_create_is_all_it_takes_and_a_retry_writes_no_second_one(around):
    around.grant()

    first, again = write_event(promotion(), pod()), write_event(promotion(), pod())

    assert (first.delivered, again.delivered) == (True, True)
    (event,) = around.events()
    assert event["reason"] == "ModelPromoted"
    assert event["involvedObject"]["name"] == "digits-x7-123"
    assert event["message"] == (
        "digits-student version 3 is now @champion, before it was version 2 (run run-1): "
        "its gates passed"
    )
    assert write_event(promotion(5), pod()).delivered
    assert len(around.events()) == 2


def test_missing_right_is_named_and_raises_nothing(around):
    delivery = write_event(promotion(), pod())

    assert not delivery.delivered
    assert around.namespace in delivery.reason
    assert 'resources ["events"], verbs ["create"]' in delivery.reason
    assert around.events() == []


def test_api_that_is_down_is_said_and_raises_nothing(around, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")

    delivery = write_event(promotion(), pod())

    assert not delivery.delivered
    assert "cannot be reached" in delivery.reason


def test_namespace_that_is_gone_is_said(around):
    around.grant()
    elsewhere = Pod("nowhere", "a-pod", None)

    delivery = write_event(promotion(), elsewhere)

    assert not delivery.delivered
    assert "nowhere" in delivery.reason
