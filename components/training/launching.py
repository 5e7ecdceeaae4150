"""Where a training runs: in this process, in several of this pod, or in the pods of a TrainJob."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import torch

from components.shared import events, telemetry
from components.shared.bundle import ModelBundle, read_bundle
from components.shared.errors import StepFailed, UserError
from components.shared.recipe.outside_models import MODULES
from components.shared.storage.uris import join
from components.shared.train_job import VARIABLE, TrainJobSettings
from components.shared.training.termination import Terminated
from components.training import process
from components.training.request import Place, TrainingRequest, digest_of_request

PROCESSES = "KUBEDISTILL_PROCESSES"
"""Environment variable: training processes of this pod; by default one for each GPU."""
_OF_THE_STEP = {"KUBEDISTILL_METRICS_FILE", "KUBEDISTILL_PUSHGATEWAY", VARIABLE, PROCESSES}
"""What the processes do not get: the step itself does that."""
_OF_THE_PODS = (
    "KUBEDISTILL_RUN_ID",
    "KUBEDISTILL_RECIPE",
    "KUBEDISTILL_ROWS_IN_MEMORY_BYTES",
    "KUBEDISTILL_CHECKPOINT_SECONDS",
    "KUBEDISTILL_CACHE_DIR",
    MODULES,
)
"""What the pods of a TrainJob get of this one's environment."""
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


def train(request: TrainingRequest, output: Path) -> ModelBundle:
    """Train what is asked for where the environment says.

    Args:
        request: with its inputs in folders of this machine.
        output: folder for the bundle.

    Raises:
        UserError: a mistake in the recipe, the data, the store, or the environment.
        StepFailed: a process or the TrainJob failed.
        Terminated: after SIGTERM.
    """
    if settings := os.environ.get(VARIABLE):
        bundle = _on_nodes(request, settings, output)
    elif (processes := process_count()) > 1:
        bundle = _on_this_pod(request, processes, output)
    else:
        process.train(request, output)
        bundle = read_bundle(output)
    telemetry.keep(output)
    return bundle


def process_count() -> int:
    """How many processes train on this pod.

    Raises:
        UserError: the environment variable is no such number, or there are fewer GPUs.
    """
    gpus = torch.cuda.device_count()
    value = os.environ.get(PROCESSES, str(max(1, gpus)))
    if not value.isdecimal() or int(value) == 0:
        raise UserError(f"{PROCESSES} should be a number of processes, at least 1, not {value!r}")
    if 0 < gpus < int(value):
        raise UserError(f"{PROCESSES} is {value}, but this pod sees {gpus} GPUs; each takes one")
    return int(value)


def worker_command(uri: str) -> list[str]:
    """What a pod of a TrainJob runs: torchrun, which takes the nodes and this one's number from the
    environment that Kubeflow Trainer sets (``PET_*``)."""
    launcher = ["python", "-m", "torch.distributed.run", "--max-restarts=0"]
    return [*launcher, "-m", "components.training.worker", uri]


def _on_this_pod(request: TrainingRequest, processes: int, output: Path) -> ModelBundle:
    with TemporaryDirectory(prefix="kubedistill-training-") as folder:
        place = Place(folder)
        place.ask(request)
        module = [sys.executable, "-m", "components.training.agent"]
        agent = [*module, str(processes), folder, str(os.getpid())]
        kept = {name: value for name, value in os.environ.items() if name not in _OF_THE_STEP}
        status, asked_to_end = _follow(agent, {**kept, **_LOOPBACK})
        if place.has_bundle:
            return place.collect(output)
        if failure := place.failure():
            raise failure.error()
    if asked_to_end:
        raise Terminated
    raise StepFailed(f"the training processes ended with status {status}, and left no message")


def _on_nodes(request: TrainingRequest, settings: str, output: Path) -> ModelBundle:
    """Through a TrainJob; a bundle that an attempt before left is taken as it is."""
    from components.training import trainjob

    if not request.storage:
        raise UserError("storage: training on several nodes needs one, which all of them reach")
    digest = digest_of_request(request)
    place = Place(join(request.storage, "training", digest))
    if not place.has_bundle:
        place.stage(request)
        name = f"{request.label.replace('_', '-')}-{digest[:10]}"
        given = {name: os.environ[name] for name in _OF_THE_PODS if name in os.environ}
        parsed = TrainJobSettings.model_validate_json(settings)
        try:
            trainjob.run(parsed, name, worker_command(place.uri), given)
        except StepFailed:
            failure = place.failure()
            if failure is not None and failure.kind != "lost":
                raise failure.error() from None
            if not place.has_bundle:  # it was whole before the job failed
                raise
        if not place.has_bundle:
            raise StepFailed(f"the TrainJob {name} is complete, but left no bundle in {place.uri}")
    bundle = place.collect(output)
    place.delete()
    return bundle


def _follow(command: list[str], environment: dict[str, str]) -> tuple[int, bool]:
    """Run a command, pass on what it prints, and SIGTERM to it.

    Returns:
        Its exit status, and whether there was a SIGTERM.
    """
    with (
        _sigterm_passed_on() as sigterm,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as child,
    ):
        try:
            sigterm.goes_to(child)
            for line in child.stdout or ():
                events.relay(line)
            return child.wait(), sigterm.came
        finally:
            child.terminate()  # where an error leaves it


class _Sigterm:
    """The first SIGTERM, for a child that may not have been there when it came."""

    def __init__(self) -> None:
        self.came = False
        self._child: subprocess.Popen[str] | None = None

    def goes_to(self, child: "subprocess.Popen[str]") -> None:
        """The child gets it, also where it has come already."""
        self._child = child
        if self.came:
            child.terminate()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if not self.came:  # at a second one torch's launcher leaves its processes
            self.came = True
            if self._child:
                self._child.terminate()


@contextmanager
def _sigterm_passed_on() -> Iterator[_Sigterm]:
    """Handle SIGTERM within the block; nothing is done outside the main thread."""
    sigterm = _Sigterm()
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, sigterm) if main else None
    try:
        yield sigterm
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
