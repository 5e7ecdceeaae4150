"""What a TrainJob is made of, what its status means, and what is read of its pods."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiClient, Configuration

from components.shared.train_job import TrainJobSettings
from components.training.trainjob import logs
from components.training.trainjob.api import Api, OutOfReach, Refused
from components.training.trainjob.jobs import TrainJobs
from components.training.trainjob.logs import LogFollower
from components.training.trainjob.manifest import Owner, train_job
from components.training.trainjob.naming import LONGEST, job_name, label_value
from components.training.trainjob.pods import Pods, first_failure, first_node, why_waiting
from components.training.trainjob.status import state_of

RUN_ID = "3f2a9c01-5b7e-4c1d-9a53-0d6a1e7f2b44"
ENVIRONMENT = {"KUBEDISTILL_RUN_ID": RUN_ID, "KUBEDISTILL_RECIPE": "digits, nightly"}


def made(owner: Owner | None = None, **settings: Any) -> dict[str, Any]:
    given = {"image": "training@sha256:1", "training": {"nodes": 2}, "pods": {}, **settings}
    parsed = TrainJobSettings.model_validate(given)
    return train_job(parsed, "train-student-0123456789", ["python"], ENVIRONMENT, owner)


def pod_template(job: dict[str, Any]) -> dict[str, Any]:
    (patch,) = job["spec"]["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert node["name"] == "node"
    found: dict[str, Any] = node["template"]["spec"]["template"]
    return found


def pod(name: str, node: int, state: dict[str, Any], created: str = "1") -> dict[str, Any]:
    index = {"batch.kubernetes.io/job-completion-index": str(node)}
    return {
        "metadata": {"name": name, "annotations": index, "creationTimestamp": created},
        "status": {"containerStatuses": [{"name": "node", "state": state}]},
    }


def ended(status: int, at: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": status, "finishedAt": at, "reason": "Error"}}


@given(st.text(max_size=40), st.text(min_size=1, max_size=90))
def test_name_leaves_room_for_those_of_the_pods(run_id, training):
    name = job_name(run_id, training)

    assert len(name) <= LONGEST
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)


def test_names_that_are_cut_still_differ():
    long = "train-student-" + "x" * 60

    assert job_name(RUN_ID, f"{long}-1") != job_name(RUN_ID, f"{long}-2")
    assert job_name(RUN_ID, "train-teacher-0a") == "kd-3f2a9c01-train-teacher-0a"


@given(st.text(max_size=90))
def test_label_takes_any_text(text):
    assert re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", label_value(text))


def test_pods_are_restricted_and_can_write_where_they_must():
    spec = pod_template(made())["spec"]
    (container,) = spec["containers"]

    assert spec["serviceAccountName"] == "kubedistill-training"
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [
        "/tmp",  # noqa: S108
        "/dev/shm",  # noqa: S108
    ]


def test_resources_of_the_recipe_are_those_of_a_node():
    job = made(pods={"gpu": 2, "cpu": {"request": 4}, "memory": "8Gi", "timeout_s": 60})
    trainer = job["spec"]["trainer"]

    assert trainer["resourcesPerNode"] == {
        "requests": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"},
    }
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 2)
    assert job["spec"]["activeDeadlineSeconds"] == 60


def test_secrets_are_referred_to_and_never_written_down():
    secrets = {"s3": {"env": {"key": "AWS_ACCESS_KEY_ID"}, "path": "/s3-keys"}}
    job = made(pods={"secrets": secrets})
    variables = {found["name"]: found for found in job["spec"]["trainer"]["env"]}

    assert variables["AWS_ACCESS_KEY_ID"]["valueFrom"] == {
        "secretKeyRef": {"name": "s3", "key": "key"}
    }
    assert {"name": "s3", "secret": {"secretName": "s3"}} in pod_template(job)["spec"]["volumes"]


def test_kueue_queues_the_job_and_not_its_pods():
    queue = "kueue.x-k8s.io/queue-name"
    topology = "kueue.x-k8s.io/podset-required-topology"
    given = {"pod_labels": {queue: "gpus", "team": "vision"}, "pod_annotations": {topology: "rack"}}
    job = made(pods=given)
    template = pod_template(job)["metadata"]

    assert job["metadata"]["labels"][queue] == "gpus"
    assert queue not in template["labels"]
    assert template["labels"]["team"] == job["metadata"]["labels"]["team"] == "vision"
    assert template["annotations"] == {topology: "rack"}


def test_job_carries_the_ids_by_which_it_is_found():
    owner = Owner("argoproj.io/v1alpha1", "Workflow", "digits-abc", "u-1")
    metadata = made(owner)["metadata"]

    assert metadata["labels"]["kubedistill.io/run-id"] == RUN_ID
    assert metadata["labels"]["kubedistill.io/recipe"] == "digits-nightly"
    assert metadata["ownerReferences"][0]["uid"] == "u-1"
    assert "ownerReferences" not in made()["metadata"]


@pytest.mark.parametrize(
    "changed",
    [{"image": "training@sha256:2"}, {"training": {"nodes": 3}}, {"pods": {"env": {"A": "1"}}}],
    ids=["image", "nodes", "environment"],
)
def test_another_job_has_another_digest_and_the_same_name(changed):
    before, after = made()["metadata"], made(**changed)["metadata"]

    assert before["name"] == after["name"]
    assert before["annotations"] != after["annotations"]


def condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Why", "message": "in words"}


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (None, "waiting"),
        ({"conditions": []}, "waiting"),
        ({"jobsStatus": [{"name": "node", "active": 1}]}, "running"),
        ({"conditions": [condition("Suspended")]}, "suspended"),
        (
            {
                "conditions": [condition("Suspended", "False")],
                "jobsStatus": [{"name": "node", "ready": 1, "active": 0}],
            },
            "running",
        ),
        ({"conditions": [condition("Complete")]}, "complete"),
        ({"conditions": [condition("Complete", "False")]}, "waiting"),
        ({"conditions": [condition("Suspended", "False"), condition("Failed")]}, "failed"),
        ({"conditions": [condition("Complete"), condition("Failed")]}, "failed"),
    ],
)
def test_only_complete_and_failed_end_a_job(status, phase):
    state = state_of({"spec": {}, **({"status": status} if status else {})})

    assert state.phase == phase
    assert state.ended is (phase in ("complete", "failed"))


def test_job_that_a_queue_has_just_stopped_is_suspended():
    assert state_of({"spec": {"suspend": True}}).phase == "suspended"


def test_first_node_is_the_newest_pod_of_index_0():
    pods = [
        pod("old", 0, {}, created="2026-01-01T00:00:00Z"),
        pod("new", 0, {}, created="2026-01-01T00:00:09Z"),
        pod("other", 1, {}, created="2026-01-01T00:01:00Z"),
    ]

    assert first_node(pods) is pods[1]
    assert first_node(pods[2:]) is None


def test_first_failure_is_the_one_that_the_others_followed():
    pods = [
        pod("a", 0, ended(143, "2026-01-01T00:00:05Z")),
        pod("b", 1, ended(1, "2026-01-01T00:00:01Z")),
        pod("c", 2, ended(0, "2026-01-01T00:00:00Z")),
        pod("d", 3, {"running": {}}),
    ]
    found = first_failure(pods)

    assert found is not None
    assert str(found) == "pod b (node 1) ended with status 1"
    assert first_failure(pods[2:]) is None


def test_container_that_waits_to_be_started_again_failed_before():
    killed = {"terminated": {**ended(137, "1")["terminated"], "reason": "OOMKilled"}}
    waiting, running = pod("a", 0, {"waiting": {"reason": "CrashLoopBackOff"}}), pod("b", 1, {})
    for each, state in ((waiting, {}), (running, {"state": {"running": {}}})):
        each["status"]["containerStatuses"][0].update(state, lastState=killed)
    pods = [waiting, running, pod("c", 2, ended(143, "2"))]

    assert str(first_failure(pods)) == "pod a (node 0) ended with status 137 (OOMKilled)"
    assert first_failure([running]) is None  # it recovered


def test_pod_without_a_node_says_why():
    scheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    }

    assert why_waiting({"metadata": {}, "status": {"conditions": [scheduled]}}) == (
        "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    )
    assert why_waiting(pod("a", 0, {"waiting": {"reason": "ContainerCreating"}})) is None


class _Recent(BaseHTTPRequestHandler):
    """An API server that heeds ``fieldValidation``, which that of tests/cluster is too old for,
    before a Trainer that is older than 2.2; its watch is cut off."""

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        data = self.rfile.read(int(self.headers["content-length"]))
        if query.get("fieldValidation") != ["Strict"]:
            self._answer(201, data)
            return
        message = (
            'TrainJob in version "v1alpha1" cannot be handled as a TrainJob: strict decoding '
            'error: unknown field "spec.runtimePatches"'
        )
        self._answer(400, json.dumps({"message": message, "reason": "BadRequest"}).encode())

    def do_GET(self) -> None:
        change = json.dumps({"type": "MODIFIED", "object": {"metadata": {"name": "job"}}})
        items = {"items": []}
        watched = f"{change}\n{change[:30]}" if "watch=true" in self.path else json.dumps(items)
        self._answer(200, watched.encode())

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def recent() -> Iterator[Api]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_port}"
    configuration.retries = 0
    try:
        yield Api(ApiClient(configuration), "runs")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_older_trainer_refuses_the_job_and_does_not_drop_a_part_of_it(recent):
    with pytest.raises(Refused, match="install Kubeflow Trainer 2.2 or later") as caught:
        TrainJobs(recent).create(made())

    assert 'unknown field "spec.runtimePatches"' in str(caught.value)


def test_watch_that_is_cut_off_in_a_line_is_an_outage(recent):
    changes = TrainJobs(recent).changes({"metadata": {"name": "job", "resourceVersion": "1"}})

    assert next(changes) == {"metadata": {"name": "job"}}
    with pytest.raises(OutOfReach, match="in the middle of a line"):
        next(changes)


def test_pods_of_a_job_that_is_suspended_are_not_missed(recent, monkeypatch, capsys):
    monkeypatch.setattr(logs, "_PAUSE_S", 0.01)
    monkeypatch.setattr(logs, "_WITHOUT_PODS_S", 0.0)
    looks = threading.Semaphore(0)
    pods = _Watched(recent, looks.release)
    log = LogFollower(pods, "job")
    try:
        log.heed("suspended")
        for _ in range(4):
            assert looks.acquire(timeout=60)
        assert "train_job_pod" not in capsys.readouterr().out
        log.heed("waiting")
        for _ in range(4):
            assert looks.acquire(timeout=60)
    finally:
        log.finish(60)

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["problem"] == (
        "no pod has been made; kubectl describe trainjob,jobset,job job --namespace runs tells why"
    )


class _Watched(Pods):
    """Says when it is asked."""

    def __init__(self, api: Api, asked: Callable[[], None]) -> None:
        super().__init__(api)
        self._asked = asked

    def of_job(self, name: str) -> list[dict[str, Any]]:
        self._asked()
        return super().of_job(name)
