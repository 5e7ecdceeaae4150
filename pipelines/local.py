"""Running a recipe on this machine, through the KFP SDK's own local runner."""

import contextlib
import fcntl
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp import local
from kfp.components import load_component_from_text

from components.registration.records import Registration
from components.shared import images
from components.shared.errors import StepFailed, UserError
from components.shared.recipe import Recipe
from components.shared.results import Decision, Evaluation
from pipelines.compiling import compile_recipe
from pipelines.following import Follower, Listener, StepTiming
from pipelines.warm import warm_interpreters

LOG = "run.log"
PRELOAD = {
    images.DATA: ("components.data_validation.steps",),
    images.TORCH: (
        "components.training.steps",
        "components.soft_labels.steps",
        "components.compression.steps",
    ),
    images.EVALUATION: ("components.evaluation.steps",),
    images.REGISTRATION: (
        "components.registration.steps",
        # MLflow loads these when it first opens a database.
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
    ),
}
"""What each image's warm interpreter imports, in the order in which the pipeline needs them."""


@dataclass(frozen=True)
class LocalRun:
    """A run that went to its end."""

    evaluation: Evaluation
    decision: Decision
    registration: Registration
    report: str
    timings: dict[str, StepTiming]
    seconds: float
    """Wall time of the pipeline, compilation included."""


def run_locally(
    recipe: Recipe,
    output: Path,
    tracking_uri: str,
    listener: Listener,
    preload: Mapping[str, Sequence[str]] = PRELOAD,
) -> LocalRun:
    """Compile the recipe and run it, step by step, in processes of this machine.

    Args:
        recipe: what to run; paths in it are absolute.
        output: folder for the pipeline's outputs and the log.
        tracking_uri: MLflow server or store.
        listener: is told every event of every step.
        preload: what the warm interpreter of each image imports; an image that is not named gets a
            new interpreter for each step.

    Raises:
        UserError: a step refused its input, or another run is writing to ``output``.
        StepFailed: a step broke.
    """
    started = time.time()
    with _exclusive(output), (output / LOG).open("w", encoding="utf-8") as log:
        follower = Follower(log, listener)
        with warm_interpreters(preload) as warm:
            pipeline = load_component_from_text(warm.rewrite(compile_recipe(recipe)))
            outputs = _execute(pipeline, output, tracking_uri, follower)
        return LocalRun(
            evaluation=Evaluation.model_validate_json(_text(outputs["evaluation"])),
            decision=Decision.model_validate_json(_text(outputs["decision"])),
            registration=Registration.model_validate_json(_text(outputs["registration"])),
            report=_text(outputs["report"]),
            timings=follower.timings,
            seconds=time.time() - started,
        )


def _execute(pipeline: Any, output: Path, tracking_uri: str, follower: Follower) -> dict[str, Any]:
    local.init(
        runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(output / "pipeline")
    )
    try:
        with contextlib.redirect_stdout(follower), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task = pipeline(tracking_uri=tracking_uri)
    except RuntimeError as error:
        if follower.error is None:
            raise StepFailed(f"{error}; see {output / LOG}") from error
        message = follower.error["message"]
        if follower.error["kind"] == "user":
            raise UserError(message) from error
        raise StepFailed(f"{follower.error['step']}: {message}; see {output / LOG}") from error
    return dict(task.outputs)


def _text(artifact: Any) -> str:
    return Path(artifact.path).read_text(encoding="utf-8")


@contextlib.contextmanager
def _exclusive(output: Path) -> Iterator[None]:
    """Keep two runs from writing to one folder; the lock goes with the process."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"--output {output}: another run is writing there") from error
        yield
