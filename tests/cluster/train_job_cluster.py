"""A namespace with Trainer's resource and the account of a run; the test plays the controllers."""

import datetime
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from kubernetes.client import (
    ApiException,
    AuthenticationV1TokenRequest,
    CoreV1Api,
    CustomObjectsApi,
    RbacAuthorizationV1Api,
)

from components.shared import events
from components.training.trainjob.manifest import GROUP, PLURAL, VERSION
from tests.cluster.api_server import ApiServer
from tests.cluster.holders import ROOT, wait_until
from tests.cluster.kubeconfig import write_kubeconfig
from tests.cluster.train_job_kubelet import Kubelet, Log

RUN_ID = "3f2a9c01-5b7e-4c1d-9a53-0d6a1e7f2b44"
JOB = "kd-3f2a9c01-train-student-0123456789"
ACCOUNT = "kubedistill-pipeline"
SETTINGS: dict[str, Any] = {
    "image": "registry/training@sha256:" + "a" * 64,
    "training": {"nodes": 2},
    "pods": {},
    "patience_s": 60,
}
Job = dict[str, Any]
_ROLE = "kubedistill-trainjobs"


@dataclass
class Step:
    """A process of :mod:`tests.cluster.train_job_step`."""

    process: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        found = [events.parse_event(line) for line in self.lines()]
        return [event for event in found if event and event["event"] == name]

    @property
    def phases(self) -> list[str]:
        return [event["phase"] for event in self.events("train_job")]

    @property
    def error(self) -> str:
        (event,) = self.events("error")
        return str(event["message"])

    def wait_for(self, event: str, **fields: object) -> None:
        def came() -> bool:
            return any(fields.items() <= found.items() for found in self.events(event))

        self._wait(came, f"{event} {fields}")

    def wait_for_line(self, line: str) -> None:
        self._wait(lambda: line in self.lines(), repr(line))

    def wait_for_text(self, text: str) -> None:
        self._wait(lambda: text in self.output.read_text(), repr(text))

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        return self.process.wait(90)

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        def happened_or_ended() -> bool:
            ended = self.process.poll() is not None
            return happened() or ended

        wait_until(happened_or_ended, 90, f"{what} in {self.lines()}")
        assert happened(), f"it ended without {what}: {self.lines()} {self.errors.read_text()}"


class Cluster:
    """What a step sees, and what the controllers do to it."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.job = JOB
        """Name of the job that the controllers see."""
        self.namespace = f"run-{uuid.uuid4()}"
        self._kubelet = Kubelet(folder)
        self._node = f"node-{uuid.uuid4()}"
        self._started: list[Step] = []
        core = self.core
        core.create_namespace({"metadata": {"name": self.namespace}})
        self._add_node(core)
        for name in (ACCOUNT, "default"):
            account = {"metadata": {"name": name}, "automountServiceAccountToken": False}
            core.create_namespaced_service_account(self.namespace, account)
        request = core.create_namespaced_service_account_token(
            ACCOUNT, self.namespace, AuthenticationV1TokenRequest(spec={"audiences": []})
        )
        self.token = str(request.status.token)

    @property
    def core(self) -> CoreV1Api:
        return CoreV1Api(self.server.client())

    @property
    def jobs(self) -> CustomObjectsApi:
        return CustomObjectsApi(self.server.client())

    # What administrators do.

    def grant(self, without: str | None = None) -> None:
        """The rights of manifests/base on TrainJobs and pods, or all but one verb on TrainJobs."""
        documents = yaml.safe_load_all((ROOT / "manifests/base/pipeline.yaml").read_text())
        found = {(d["kind"], d["metadata"]["name"]): d for d in documents}
        role = found["Role", _ROLE]
        for rule in role["rules"]:
            if rule["resources"] == [PLURAL] and without:
                rule["verbs"].remove(without)
        rights = RbacAuthorizationV1Api(self.server.client())
        rights.create_namespaced_role(self.namespace, role)
        binding = found["RoleBinding", _ROLE]
        binding["subjects"][0]["namespace"] = self.namespace
        rights.create_namespaced_role_binding(self.namespace, binding)

    def withdraw(self) -> None:
        """Take the rights away again."""
        rights = RbacAuthorizationV1Api(self.server.client())
        rights.delete_namespaced_role_binding(_ROLE, self.namespace)
        rights.delete_namespaced_role(_ROLE, self.namespace)

    # What Kubeflow does.

    def start(self, *, run_id: str = RUN_ID, pod: str = "", **settings: object) -> Step:
        """A step, under the account of a run."""
        return self._start(json.dumps({**SETTINGS, **settings}), run_id=run_id, pod=pod)

    def start_exit_task(self, run_id: str = RUN_ID) -> Step:
        return self._start("exit", run_id, run_id=run_id)

    def start_training(self, **arguments: object) -> Step:
        """The step that trains a student, told to use a TrainJob."""
        job = {"KUBEDISTILL_TRAINJOB": json.dumps(SETTINGS)}
        return self._start("student", json.dumps(arguments), run_id=RUN_ID, environment=job)

    def close(self) -> None:
        for step in self._started:
            step.process.kill()
            step.process.wait()
        self._kubelet.close()

    def forget_jobs(self) -> None:
        """Remove what the test has left, also where it waits for the garbage collector."""
        for job in self._all_jobs():
            name = job["metadata"]["name"]
            no_finalizers = {"metadata": {"finalizers": None}}
            self.jobs.patch_namespaced_custom_object(*self._where, name, no_finalizers)
            with suppress(ApiException):
                self.jobs.delete_namespaced_custom_object(*self._where, name)

    # What Trainer, Kueue, the scheduler and the garbage collector do.

    def found(self, name: str = JOB) -> Job | None:
        try:
            found: Job = self.jobs.get_namespaced_custom_object(*self._where, name)
        except ApiException as error:
            if error.status != 404:
                raise
            return None
        return found

    def wait_for_job(self, other_than: str = "") -> Job:
        def there() -> bool:
            found = self.found()
            return found is not None and found["metadata"]["uid"] != other_than

        step = self._started[-1]
        wait_until(lambda: there() or step.process.poll() is not None, 90, "the TrainJob")
        found = self.found()
        assert found is not None, f"not made: {step.lines()} {step.errors.read_text()}"
        return found

    def wait_for_any_job(self) -> Job:
        """Of a name that only the step knows."""
        step = self._started[-1]
        wait_until(
            lambda: bool(self._all_jobs()) or step.process.poll() is not None, 90, "a TrainJob"
        )
        assert self._all_jobs(), f"not made: {step.lines()} {step.errors.read_text()}"
        (job,) = self._all_jobs()
        self.job = job["metadata"]["name"]
        return job

    def is_going(self, name: str = "") -> bool:
        found = self.found(name or self.job)
        return found is not None and "deletionTimestamp" in found["metadata"]

    def collect(self) -> None:
        """The job's pods have ended, and so it goes away."""
        self.jobs.patch_namespaced_custom_object(
            *self._where, JOB, {"metadata": {"finalizers": None}}
        )

    def condition(
        self,
        kind: Literal["Suspended", "Complete", "Failed"],
        reason: str,
        message: str,
        **more: str,
    ) -> None:
        condition = {
            "type": kind,
            "status": "True",
            "lastTransitionTime": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "reason": reason,
            "message": message,
            **more,
        }
        self._set_status(conditions=[condition])

    def complete(self) -> None:
        self.condition("Complete", "AllJobsCompleted", "jobset completed successfully")

    def run_pods(self, active: int = 1) -> None:
        """Status of a job whose pods run."""
        counts = {"ready": active, "succeeded": 0, "failed": 0, "active": active, "suspended": 0}
        self._set_status(jobsStatus=[{"name": "node", **counts}])

    def add_pod(self, node: int, suffix: str = "aaaaa") -> str:
        """A pod that is pending; returns its name."""
        name = f"{self.job}-node-0-{node}-{suffix}"
        self._kubelet.logs[name] = Log()
        labels = {
            "jobset.sigs.k8s.io/jobset-name": self.job,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
        }
        annotations = {"batch.kubernetes.io/job-completion-index": str(node)}
        self.core.create_namespaced_pod(
            self.namespace,
            {
                "metadata": {"name": name, "labels": labels, "annotations": annotations},
                "spec": {
                    "nodeName": self._node,
                    "automountServiceAccountToken": False,
                    "containers": [{"name": "node", "image": "training"}],
                },
            },
        )
        return name

    def container(self, pod: str, state: dict[str, Any], phase: str = "Running") -> None:
        container = {
            "name": "node",
            "image": "training",
            "imageID": "",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        status = {"phase": phase, "containerStatuses": [container]}
        self.core.patch_namespaced_pod_status(pod, self.namespace, {"status": status})

    def start_pod(self, node: int, suffix: str = "aaaaa") -> str:
        """A pod whose container runs; returns its name."""
        name = self.add_pod(node, suffix)
        self.container(name, {"running": {}})
        return name

    def say(self, pod: str, *lines: str) -> None:
        for line in lines:
            self._kubelet.logs[pod].say(line)

    def end_pod(self, pod: str, status: int, at: str = "2026-01-01T00:00:00Z") -> None:
        self._kubelet.logs[pod].ended = True
        ended = {"exitCode": status, "finishedAt": at, "reason": "Error" if status else "Completed"}
        self.container(pod, {"terminated": ended}, "Failed" if status else "Succeeded")

    @property
    def log_requests(self) -> list[str]:
        return self._kubelet.requests

    @property
    def _where(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, PLURAL

    def _all_jobs(self) -> list[Job]:
        try:
            found: list[Job] = self.jobs.list_namespaced_custom_object(*self._where)["items"]
        except ApiException as error:
            if error.status != 404:
                raise
            return []
        return found

    def _set_status(self, **status: object) -> None:
        self.jobs.patch_namespaced_custom_object_status(*self._where, self.job, {"status": status})

    def _add_node(self, core: CoreV1Api) -> None:
        core.create_node({"metadata": {"name": self._node}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet.port}},
        }
        core.patch_node_status(self._node, {"status": status})

    def _start(
        self,
        *arguments: str,
        run_id: str,
        pod: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Step:
        number = len(self._started)
        output, errors = (self.folder / f"step-{number}.{kind}" for kind in ("out", "err"))
        variables = {
            **os.environ,
            **(environment or {}),
            "KUBECONFIG": str(
                write_kubeconfig(
                    self.folder / "kubeconfig",
                    self.server,
                    token=self.token,
                    namespace=self.namespace,
                )
            ),
            events.RUN_ID: run_id,
            events.RECIPE: "digits",
            **({"KFP_POD_NAME": pod} if pod else {}),
        }
        variables.pop("KUBERNETES_SERVICE_HOST", None)
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster.train_job_step", *arguments],
                cwd=ROOT,
                env=variables,
                stdout=out,
                stderr=err,
            )
        step = Step(process, output, errors)
        self._started.append(step)
        return step
