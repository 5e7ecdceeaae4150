"""Training in a TrainJob against a real API server: the step is a process of its own, under the
account and with the rights of manifests/base; the test plays Trainer, Kueue and the kubelet."""

import json
import re
import signal
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.cluster.train_job_cluster import JOB, RUN_ID, Cluster

OWN_POD = "train-student-pod"
PROGRESS = {
    "event": "progress",
    "step": "train_student",
    "time": 1.0,
    "activity": "student",
    "done": 1,
    "total": 2,
    "unit": "steps",
    "processed": 1,
    "rate": 1.0,
    "seconds_left": 1.0,
}


def test_cluster_without_trainer_says_what_to_install(bare_run):
    # The first test, before the resource is defined.
    bare_run.grant()
    step = bare_run.start()

    assert step.end() == 2
    assert "does not know trainjobs (trainer.kubeflow.org/v1alpha1)" in step.error
    assert "install Kubeflow Trainer 2.2 or later" in step.error


def test_job_is_made_waited_for_in_its_queue_followed_and_deleted(cluster):
    _own_pod(cluster)
    step = cluster.start(pod=OWN_POD, pods={"gpu": 1, "memory": "8Gi", "shared_memory": "1Gi"})
    job = cluster.wait_for_job()
    cluster.condition("Suspended", "Suspended", "TrainJob is suspended")
    step.wait_for("train_job", phase="suspended")
    cluster.condition("Suspended", "Resumed", "TrainJob is resumed", status="False")
    cluster.run_pods()
    step.wait_for("train_job", phase="running")
    first, second = cluster.start_pod(0), cluster.start_pod(1)
    cluster.say(first, "warming up", json.dumps(PROGRESS))
    cluster.say(second, "not of node 0")
    step.wait_for("progress", done=1)
    cluster.say(first, "last words")
    cluster.end_pod(first, 0)
    cluster.complete()

    assert step.end() == 0, step.errors.read_text()
    phases = [phase for phase in step.phases if phase != "waiting"]
    assert phases == ["suspended", "running", "complete"]
    said = [line for line in step.lines() if line in ("warming up", "last words", "not of node 0")]
    assert said == ["warming up", "last words"]
    assert cluster.is_going()
    assert job["metadata"]["ownerReferences"][0]["kind"] == "Workflow"
    assert job["metadata"]["labels"]["kubedistill.io/run-id"] == RUN_ID
    trainer = job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 1)


def test_nothing_of_the_job_is_unknown_to_trainer(cluster):
    from components.shared.train_job import TrainJobSettings
    from components.training.trainjob.manifest import train_job

    used = {"env": {"KEY": "VARIABLE"}, "path": "/given", "optional": True}
    everything: dict[str, Any] = {
        "cpu": 2,
        "memory": "4Gi",
        "gpu": 2,
        "ephemeral_storage": "10Gi",
        "shared_memory": "1Gi",
        "timeout_s": 3600,
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "effect": "NoExecute", "seconds": 60}],
        "node_affinity": {
            "required": [{"key": "zone", "operator": "In", "values": ["a"]}],
            "preferred": [{"key": "fast", "operator": "Exists", "weight": 5}],
        },
        "pod_labels": {"kueue.x-k8s.io/queue-name": "gpus", "team": "vision"},
        "pod_annotations": {"why": "training"},
        "env": {"NCCL_DEBUG": "WARN"},
        "secrets": {"s3": used},
        "config_maps": {"endpoints": {**used, "env": {"ENDPOINT": "OTHER"}, "path": "/other"}},
        "security_context": {"run_as_user": 1000, "run_as_group": 1000},
    }
    settings = TrainJobSettings.model_validate(
        {
            "image": "i",
            "training": {"nodes": 2},
            "pods": everything,
            "image_pull_secrets": ["registry"],
        }
    )
    job = train_job(
        settings, "train-student-0123456789", ["python"], {"KUBEDISTILL_RUN_ID": RUN_ID}, None
    )

    cluster.jobs.create_namespaced_custom_object(
        "trainer.kubeflow.org", "v1alpha1", cluster.namespace, "trainjobs", job
    )

    found = cluster.found()
    assert found is not None
    defaults = {"suspend": False, "managedBy": "trainer.kubeflow.org/trainjob-controller"}
    assert found["spec"] == {**job["spec"], **defaults}
    assert found["metadata"]["labels"] == job["metadata"]["labels"]


def test_failure_of_the_job_is_failure_of_the_step_with_what_the_first_pod_said_last(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    first, second = cluster.start_pod(0), cluster.start_pod(1)
    cluster.say(second, "loading", "RuntimeError: CUDA out of memory")
    cluster.end_pod(second, 1, at="2026-01-01T00:00:00Z")
    cluster.end_pod(first, 143, at="2026-01-01T00:00:01Z")
    cluster.condition("Failed", "FailedJobs", "jobset failed due to one or more job failures")

    assert step.end() == 1
    assert step.error == (
        f"StepFailed: the TrainJob {cluster.namespace}/{JOB} failed (FailedJobs: jobset failed due "
        f"to one or more job failures); pod {second} (node 1) ended with status 1: RuntimeError: "
        "CUDA out of memory"
    )
    assert step.events("train_job_pod_failed")[0]["log"][0] == "loading"
    assert cluster.is_going()


def test_step_that_is_tried_again_takes_its_job_over(cluster):
    first = cluster.start()
    job = cluster.wait_for_job()
    first.wait_for("train_job", phase="waiting")
    first.send(signal.SIGKILL)
    first.end()
    assert not cluster.is_going()

    second = cluster.start()
    second.wait_for("train_job_found")
    second.wait_for("train_job", phase="waiting")
    cluster.complete()

    assert second.end() == 0
    assert cluster.found()["metadata"]["uid"] == job["metadata"]["uid"]


def test_job_that_ended_before_anybody_looked_is_complete(cluster):
    first = cluster.start()
    cluster.wait_for_job()
    first.send(signal.SIGKILL)
    first.end()
    pod = cluster.start_pod(0)
    cluster.say(pod, "unheard")
    cluster.end_pod(pod, 0)
    cluster.complete()

    second = cluster.start()

    assert second.end() == 0
    assert second.phases == ["complete"]
    assert "unheard" in second.lines()
    assert cluster.is_going()


def test_sigterm_deletes_the_job_and_the_next_attempt_waits_for_its_pods(cluster):
    first = cluster.start()
    job = cluster.wait_for_job()
    first.wait_for("train_job", phase="waiting")
    first.send(signal.SIGTERM)
    assert first.end() == 143
    assert cluster.is_going()

    second = cluster.start()
    second.wait_for("train_job_awaited")
    assert second.events("train_job_created") == []
    cluster.collect()
    made = cluster.wait_for_job(other_than=job["metadata"]["uid"])
    cluster.complete()

    assert second.end() == 0
    assert made["metadata"]["annotations"] == job["metadata"]["annotations"]


def test_job_that_somebody_else_deletes_is_an_error(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    step.wait_for("train_job", phase="waiting")
    cluster.jobs.delete_namespaced_custom_object(*_job(cluster))

    assert step.end() == 1
    assert f"{cluster.namespace}/{JOB} was deleted by somebody else" in step.error


def test_restart_of_the_api_server_is_ridden_out_and_no_line_is_lost_or_said_twice(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    pod = cluster.start_pod(0)
    cluster.run_pods()
    cluster.say(pod, "line 0")
    step.wait_for_line("line 0")
    cluster.server.kill()
    step.wait_for("cluster_out_of_reach")
    cluster.say(pod, "line 1")
    cluster.server.start()
    cluster.say(pod, "line 2")
    step.wait_for_line("line 2")
    cluster.end_pod(pod, 0)
    cluster.complete()

    assert step.end() == 0
    assert [line for line in step.lines() if line.startswith("line")] == [
        "line 0",
        "line 1",
        "line 2",
    ]


def test_refusals_of_an_api_server_that_has_just_started_are_ridden_out(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    step.wait_for("train_job", phase="waiting")
    cluster.withdraw()
    cluster.server.kill()
    cluster.server.start()
    step.wait_for_text("the right to list pods")
    cluster.grant()
    cluster.complete()

    assert step.end() == 0
    assert step.phases[-1] == "complete"


def test_outage_beyond_patience_leaves_the_job_to_the_next_attempt(cluster):
    step = cluster.start(patience_s=1)
    cluster.wait_for_job()
    step.wait_for("train_job", phase="waiting")
    cluster.server.kill()

    assert step.end() == 1
    assert re.search(r"out of reach for \d+ s; the Kubernetes API at https://127", step.error)
    cluster.server.start()
    assert not cluster.is_going()
    assert cluster.found() is not None


def test_pod_that_takes_the_place_of_another_is_read_as_well(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    first = cluster.start_pod(0)
    cluster.say(first, "first pod")
    step.wait_for_line("first pod")
    cluster.end_pod(first, 1)
    cluster.core.delete_namespaced_pod(first, cluster.namespace, grace_period_seconds=0)
    second = cluster.start_pod(0, "bbbbb")
    cluster.say(second, "second pod")
    step.wait_for_line("second pod")
    cluster.end_pod(second, 0)
    cluster.complete()

    assert step.end() == 0
    assert step.lines().count("first pod") == 1


def test_pod_that_cannot_start_is_said_once(cluster):
    step = cluster.start()
    cluster.wait_for_job()
    pod = cluster.add_pod(0)
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    cluster.container(pod, {"waiting": waiting}, "Pending")
    problem = "ImagePullBackOff: Back-off pulling image"
    step.wait_for("train_job_pod", problem=problem)
    cluster.container(pod, {"running": {}})
    cluster.say(pod, "started")
    step.wait_for_line("started")
    cluster.end_pod(pod, 0)
    cluster.complete()

    assert step.end() == 0
    assert [event["problem"] for event in step.events("train_job_pod")] == [problem]


def test_job_for_which_no_pod_is_made_says_so_once(cluster, monkeypatch):
    monkeypatch.setenv("TEST_WITHOUT_PODS_S", "0.5")
    step = cluster.start()
    cluster.wait_for_job()
    problem = (
        f"no pod has been made; kubectl describe trainjob,jobset,job {JOB} --namespace "
        f"{cluster.namespace} tells why"
    )
    step.wait_for("train_job_pod", problem=problem)
    pod = cluster.start_pod(0)
    cluster.say(pod, "started")
    step.wait_for_line("started")
    cluster.end_pod(pod, 0)
    cluster.complete()

    assert step.end() == 0
    assert [event["problem"] for event in step.events("train_job_pod")] == [problem]


def test_job_of_another_specification_is_neither_taken_over_nor_deleted(cluster):
    first = cluster.start()
    cluster.wait_for_job()
    first.send(signal.SIGKILL)
    first.end()

    second = cluster.start(training={"nodes": 3})

    assert second.end() == 2
    assert f"kubectl delete trainjob {JOB}" in second.error
    assert not cluster.is_going()


def test_exit_task_deletes_the_jobs_of_its_run_and_no_others(cluster):
    other = "99999999-0000-0000-0000-000000000000"
    for run_id in (RUN_ID, other):
        step = cluster.start(run_id=run_id)
        step.wait_for("train_job", phase="waiting")
        step.send(signal.SIGKILL)
        step.end()

    task = cluster.start_exit_task()

    assert task.end() == 0
    assert [event["name"] for event in task.events("train_job_deleted")] == [JOB]
    assert cluster.is_going()
    assert not cluster.is_going(JOB.replace("3f2a9c01", "99999999", 1))


@pytest.mark.parametrize("verb", ["get", "watch", "create"])
def test_missing_right_is_named(trainer, bare_run, verb):
    bare_run.grant(without=verb)

    step = bare_run.start()

    assert step.end() == 2
    assert f"the step needs the right to {verb} trainjobs (trainer.kubeflow.org" in step.error
    assert "resources.service_account" in step.error


def test_trained_step_does_not_fail_for_the_missing_right_to_delete(trainer, bare_run):
    bare_run.grant(without="delete")
    step = bare_run.start()
    bare_run.wait_for_job()
    bare_run.complete()

    assert step.end() == 0
    assert "the right to delete trainjobs" in step.events("train_job_left")[0]["reason"]


def test_watch_from_a_forgotten_version_is_told_from_an_outage(cluster):
    from components.training.trainjob.api import Api, Outdated
    from components.training.trainjob.jobs import TrainJobs

    jobs = TrainJobs(Api(cluster.server.client(), cluster.namespace))

    with pytest.raises(Outdated, match="too old resource version"):
        list(jobs.changes({"metadata": {"name": JOB, "resourceVersion": "1"}}))


def _job(cluster: Cluster) -> tuple[str, str, str, str, str]:
    return "trainer.kubeflow.org", "v1alpha1", cluster.namespace, "trainjobs", JOB


def _own_pod(cluster: Cluster) -> None:
    """The pod of the step, as Argo makes it."""
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "u-1"}
    spec = {
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": "training"}],
    }
    try:
        cluster.core.create_namespaced_pod(
            cluster.namespace,
            {"metadata": {"name": OWN_POD, "ownerReferences": [owner]}, "spec": spec},
        )
    except ApiException as error:
        raise AssertionError(error.body) from error
