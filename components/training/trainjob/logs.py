"""Passing on the log of node 0 while a TrainJob runs, beside the watch on it."""

import threading
import time
from contextvars import copy_context

from components.shared import events
from components.shared.errors import UserError
from components.training.trainjob.api import OutOfReach
from components.training.trainjob.pods import (
    Pod,
    Pods,
    container_of,
    first_node,
    why_waiting,
)
from components.training.trainjob.status import Phase

_PAUSE_S = 2.0
_WITHOUT_PODS_S = 60.0
"""How long a job may wait without a pod before that is said: making them takes seconds."""


class LogFollower:
    """Reads the pod of node 0, and the pod that takes its place; each line is passed on once.

    A log that cannot be read is said once, and does not hold up the training.
    """

    def __init__(self, pods: Pods, job: str) -> None:
        """Start reading.

        Args:
            pods: of the job's namespace.
            job: name of the TrainJob.
        """
        self._pods, self._job = pods, job
        self._ending, self._muted = threading.Event(), threading.Event()
        self._read_to: dict[str, str] = {}
        self._finished: set[tuple[str, int]] = set()
        self._problem: str | None = None
        self._waits_since: float | None = None
        # The step that events belong to, and who observes them, are of this context.
        context = copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def heed(self, phase: Phase) -> None:
        """Miss the pods of a job that waits, and not those of one that is suspended.

        Args:
            phase: how far the job is, each time that it is another one.
        """
        self._waits_since = time.monotonic() if phase == "waiting" else None

    def finish(self, patience_s: float) -> None:
        """Pass on what was said until now, and stop.

        Args:
            patience_s: seconds after which what is not read is given up.
        """
        self._ending.set()
        self._thread.join(patience_s)
        self._muted.set()

    def _run(self) -> None:
        while not self._muted.is_set():
            last = self._ending.is_set()
            read_all = self._round()
            if last and read_all:
                return
            self._ending.wait(_PAUSE_S) if not last else self._muted.wait(_PAUSE_S / 4)

    def _round(self) -> bool:
        """Read what there is; returns whether that was all until a new pod comes."""
        try:
            pods = self._pods.of_job(self._job)
            pod = first_node(pods)
            if pod is None:
                self._tell(None if pods else self._why_without_pods())
                return True
            self._tell(why_waiting(pod))
            return self._read(pod)
        except (OutOfReach, UserError) as error:
            self._tell(f"its log cannot be read: {error}")
            return False

    def _read(self, pod: Pod) -> bool:
        container = container_of(pod)
        state = container.get("state") or {}
        uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        this = (uid, container.get("restartCount", 0))
        if this in self._finished or not ("running" in state or "terminated" in state):
            return True
        for at, line in self._pods.follow(name, self._read_to.get(uid, "")):
            if self._muted.is_set():
                return True
            self._read_to[uid] = at
            events.relay(line)
        self._problem = None
        if "terminated" in state:  # it was so before the end of the log was read
            self._finished.add(this)
            return True
        return False

    def _why_without_pods(self) -> str | None:
        """That nobody makes them, where it takes too long: a quota, the pod security standard, an
        account that is not there."""
        since = self._waits_since
        if since is None or time.monotonic() - since < _WITHOUT_PODS_S:
            return None
        return (
            f"no pod has been made; kubectl describe trainjob,jobset,job {self._job} "
            f"--namespace {self._pods.namespace} tells why"
        )

    def _tell(self, problem: str | None) -> None:
        if problem and problem != self._problem:
            events.emit("train_job_pod", name=self._job, problem=problem)
        self._problem = problem
