"""Between KFP and each container: a step counts as done when that is certain."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from components.shared.errors import StepFailed
from pipelines.docker_runner.endings import Ending, ending_of, problem
from pipelines.docker_runner.engine import connected, explain
from pipelines.docker_runner.lifetime import Lifeline
from pipelines.following import Follower

_CLOCKS_S = 60
"""How far back events are asked for from before a container began."""
_EVENT_TIMEOUT_S = 20.0


@dataclass
class Steps:
    """The steps of a run, as their containers ended."""

    name: str
    """Of the run; the names of its containers begin with it."""
    follower: Follower
    lifeline: Lifeline
    failure: StepFailed | None = None
    """The first one."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handler(self, kfp_handler: Any, **arguments: Any) -> "Handler":
        """What runs a step, in the place of KFP's handler, which it calls.

        Args:
            kfp_handler: its class.
            arguments: that KFP gives it.
        """
        step = arguments["full_command"][-1]
        container = f"{self.name}-{next(self._numbers)}-{step}"
        arguments["runner"].container_run_args["name"] = container  # a copy for this step
        return Handler(self, kfp_handler(**arguments), step, container, arguments["image"])

    def fail(self, step: str, reason: str) -> None:
        """Keep why a step failed."""
        with self._lock:
            self.failure = self.failure or StepFailed(f"{step}: {reason}")

    def judge(self, step: str, ending: Ending | None, image: str) -> bool:
        """Whether a step is done; why not is kept.

        Steps that run at once share a stream, so that it is counted how many said that they had
        finished.
        """
        with self._lock:
            finished = self.follower.finished > self._done
            reason = problem(ending, finished, image)
            self._done += reason is None
        if reason is not None:
            self.fail(step, reason)
        return reason is None


@dataclass(frozen=True)
class Handler:
    """Runs one step."""

    steps: Steps
    kfp_handler: Any
    step: str
    container: str
    image: str

    def run(self) -> Any:
        """Run the container to its end; KFP's status."""
        from docker.errors import DockerException
        from kfp.local.status import Status
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        # KFP would go on with all that does not depend on what failed.
        if self.steps.lifeline.is_cut or self.steps.failure is not None:
            return Status.FAILURE
        begun = int(time.time())
        try:
            self.kfp_handler.run()
            ending = self._ending(begun)
        except (DockerException, RequestException, HTTPError, OSError, StepFailed) as error:
            self.steps.fail(self.step, f"the Docker engine failed: {explain(error)}")
            return Status.FAILURE
        done = self.steps.judge(self.step, ending, self.image)
        return Status.SUCCESS if done else Status.FAILURE

    def _ending(self, begun: int) -> Ending | None:
        """The engine keeps its last events, so that this one is found however late it is asked for;
        the container itself is removed when it ends."""
        with connected(_EVENT_TIMEOUT_S) as client:
            events = client.events(
                since=begun - _CLOCKS_S,
                filters={"type": "container", "container": self.container},
                decode=True,
            )
            try:
                return ending_of(events)
            finally:
                events.close()


@contextmanager
def handled_by(steps: Steps) -> Iterator[None]:
    """For the block, KFP has these steps handle its containers.

    It chooses a handler by the exact type of its runner, so that there is no other way in.
    """
    from kfp.local import docker_task_handler

    kfp_handler = docker_task_handler.DockerTaskHandler

    def handler(**arguments: Any) -> Handler:
        return steps.handler(kfp_handler, **arguments)

    docker_task_handler.DockerTaskHandler = handler
    try:
        yield
    finally:
        docker_task_handler.DockerTaskHandler = kfp_handler
