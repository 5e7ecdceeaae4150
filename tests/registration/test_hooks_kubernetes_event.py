"""What the cluster's events say of a move; that they get there is tested in tests/cluster."""

import socket

import pytest
from hooks_history import ORIGIN, START, write_history
from hooks_receiver import Receiver, free_port, self_signed

from components.registration.hooks.cloud_event import event_of_move, event_of_rejection
from components.registration.hooks.kubernetes_event import (
    Pod,
    kubernetes_event,
    own_pod,
    write_event,
)
from components.shared import cluster
from components.shared.results import Decision

POD = Pod("kubedistill", "digits-x7-123", "0af1")
HISTORY = write_history()


def of_move(sequence: int, pod: Pod = POD):
    event = event_of_move(HISTORY[sequence - 1], ORIGIN)
    assert event is not None
    return kubernetes_event(event, pod)


@pytest.mark.parametrize(
    ("sequence", "reason", "kind", "message"),
    [
        (2, "ModelPromoted", "Normal", "digits student version 1 is now @champion (run run-1): "),
        (4, "ModelWaitsForApproval", "Normal", "version 2 passed its gates and waits for approval"),
        (5, "ModelPromoted", "Normal", "2 is now @champion, before it was version 1 (run run-2): "),
        (6, "ModelRejected", "Normal", "student version 3 is rejected, @champion stays version 2"),
        (7, "ModelRolledBack", "Warning", "rolled back: version 1 is @champion again"),
        (8, "ModelMoved", "Warning", "was moved to version 3 without kubedistill"),
    ],
)
def test_each_move_says_what_happened_and_why(sequence, reason, kind, message):
    found = of_move(sequence)

    assert (found["reason"], found["type"]) == (reason, kind)
    assert message in found["message"]
    assert "because of" in found["message"]


def test_event_is_on_the_pod_of_the_step_with_the_ids_of_the_run():
    found = of_move(2)

    assert found["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "kubedistill",
        "name": "digits-x7-123",
        "uid": "0af1",
    }
    assert found["metadata"]["annotations"]["kubedistill.io/run-id"] == "run-1"
    assert found["lastTimestamp"] == "2026-11-27T10:32:00Z"


def test_same_move_has_the_same_name_and_another_another():
    name = of_move(2)["metadata"]["name"]

    assert of_move(2, Pod("kubedistill", "a-retry", None))["metadata"]["name"] == name
    assert of_move(5)["metadata"]["name"] != name


def test_rejection_by_the_gates_names_no_version_that_does_not_exist():
    decision = Decision(
        verdict="reject",
        summary="accuracy is too low\n" * 200,
        candidate="float32",
        checks=[],
        candidates=[],
        confidence=0.95,
        power=None,
        warnings=[],
        dataset_digest="d",
        student_digest="s",
        champion_version=None,
    )
    event = event_of_rejection(decision, "0" * 64, "run-9", ORIGIN, START)

    found = kubernetes_event(event, POD)

    assert found["message"].startswith("a student for digits student is rejected (run run-9): acc")
    assert len(found["message"]) == 1024
    assert "kubedistill.io/version" not in found["metadata"]["annotations"]


def test_only_a_pod_with_a_token_writes_events(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "namespace").write_text("kubedistill\n")
    (tmp_path / "token").write_text("secret")
    assert own_pod({}) is None

    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert own_pod({}) == Pod("kubedistill", socket.gethostname(), None)
    assert own_pod({"KFP_POD_NAME": "p", "KFP_POD_UID": "u"}) == Pod("kubedistill", "p", "u")

    (tmp_path / "token").unlink()
    assert own_pod({}) is None


@pytest.mark.parametrize(("answer", "refused"), [(422, True), (403, False), (500, False)])
def test_event_that_the_api_refuses_is_passed_over(tmp_path, monkeypatch, answer, refused):
    certificate = self_signed(tmp_path)
    server = Receiver(free_port(), answers=[answer], certificate=certificate)
    mount_account(tmp_path, monkeypatch, server.port)
    (tmp_path / "ca.crt").write_bytes(certificate.read_bytes())

    with server.listening():
        delivery = write_event(event_of_move(HISTORY[1], ORIGIN), POD)

    assert (delivery.delivered, delivery.refused) == (False, refused)
    assert len(server.requests) == 1


def test_service_account_that_is_not_whole_is_a_failure_and_no_error(tmp_path, monkeypatch):
    mount_account(tmp_path, monkeypatch, free_port())

    delivery = write_event(event_of_move(HISTORY[1], ORIGIN), POD)

    assert (delivery.delivered, delivery.refused) == (False, False)
    assert "Service certification file does not exist" in delivery.reason


def mount_account(folder, monkeypatch, port: int) -> None:
    """What the kubelet puts into a pod, without the certificate."""
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    (folder / "token").write_text("secret")
    (folder / "namespace").write_text("kubedistill")
