"""Executing a compiled pipeline on this machine, through the KFP SDK's own local runner."""

import builtins
import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared.errors import StepFailed, UserError
from pipelines.following import Follower, Listener, StepTiming
from pipelines.step_runners import ReadyRunner, StepRunner

LOG = "run.log"
PIPELINE_ROOT = "pipeline"
"""Where KFP keeps the outputs of steps, in the folder of the run."""


@dataclass(frozen=True)
class Execution:
    """A pipeline that went to its end."""

    outputs: dict[str, Any]
    timings: dict[str, StepTiming]
    background_imports: dict[str, float]
    """Seconds that each image's warm interpreter spent on imports, beside the steps."""


def execute(
    compile_pipeline: Callable[[], str],
    arguments: Mapping[str, Any],
    output: Path,
    listener: Listener,
    runner: StepRunner,
) -> Execution:
    """Compile a pipeline and run it, step by step, on this machine.

    Args:
        compile_pipeline: gives the pipeline's YAML; it imports KFP, while the runner makes itself
            ready.
        arguments: of the pipeline.
        output: folder for the pipeline's outputs and the log.
        listener: is told every event of every step.
        runner: what runs the steps.

    Raises:
        UserError: a step refused its input.
        StepFailed: a step broke.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOG).open("w", buffering=1, encoding="utf-8") as log:
        follower = Follower(log, listener)
        with runner.ready(output / PIPELINE_ROOT, follower) as ready:
            compiled = ready.prepare(compile_pipeline())
            outputs = _run(compiled, arguments, output, follower, ready)
            imports = ready.import_seconds()
    return Execution(outputs, follower.timings, imports)


def _run(
    compiled: str,
    arguments: Mapping[str, Any],
    output: Path,
    follower: Follower,
    ready: ReadyRunner,
) -> dict[str, Any]:
    from kfp import local
    from kfp.components import load_component_from_text

    pipeline = load_component_from_text(compiled)
    try:
        with (
            _scratch() as scratch,
            _print_and_logging_as_before(),
            contextlib.redirect_stdout(follower),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            workspace = Path(scratch, "workspace")
            workspace.mkdir()  # or a Docker engine makes it, for root
            local.init(
                runner=ready.kfp_runner(),
                pipeline_root=str(output / PIPELINE_ROOT),
                workspace_root=str(workspace),
            )
            task = pipeline(**arguments)
    except RuntimeError as error:
        if follower.error is None:
            failure = ready.failure() or StepFailed(str(error))
            raise type(failure)(f"{failure}; see {output / LOG}") from error
        message = follower.error["message"]
        if follower.error["kind"] == "user":
            raise UserError(message) from error
        raise StepFailed(f"{follower.error['step']}: {message}; see {output / LOG}") from error
    return dict(task.outputs)


@contextlib.contextmanager
def _print_and_logging_as_before() -> Iterator[None]:
    """KFP replaces both for each step, and mixes them up where steps run at once."""
    printing, root = builtins.print, logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        builtins.print = printing
        root.setLevel(level)
        root.handlers[:] = handlers


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """Where steps put temporary files; KFP's step command makes a folder that it never removes."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="kubedistill-") as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield folder
        finally:
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
