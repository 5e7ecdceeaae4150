"""Running a recipe on this machine, through the KFP SDK's own local runner."""

import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared import images
from components.shared.errors import StepFailed, UserError
from components.shared.recipe import Recipe
from components.shared.results import Decision, Evaluation, Registration
from pipelines.following import Follower, Listener, StepTiming
from pipelines.warm import warm_interpreters

LOG = "run.log"
PRELOAD = {
    images.DATA: (
        "components.data_validation.builtin",
        "components.data_validation.resolve",
        "pyarrow.dataset",
        "components.data_validation.steps",
        "components.data_validation.validate",
    ),
    images.TORCH: (
        "components.training.steps",
        "torch._dynamo",
        "torch._inductor.config",
        "pyarrow.dataset",
        "components.soft_labels.steps",
        "components.compression.steps",
        "onnx",
        "torch.onnx._internal.torchscript_exporter.utils",
        "onnxruntime.quantization",
        "torch_pruning",
        "safetensors.torch",
        "safetensors.numpy",
    ),
    images.EVALUATION: ("components.evaluation.steps", "pyarrow.dataset"),
    images.REGISTRATION: (
        "components.registration.steps",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.pyfunc.loaders",
        "pyarrow.dataset",
        "onnxruntime",
        "alembic.config",
        "mlflow.tracing.processor.base_mlflow",
        "sqlalchemy.dialects.sqlite",
    ),
}
"""What each image's warm interpreter imports, in the order in which the pipeline needs it: steps,
and what their libraries would import late (torch loads its compiler with the first optimizer)."""


@dataclass(frozen=True)
class LocalRun:
    """A run that went to its end."""

    evaluation: Evaluation
    decision: Decision
    registration: Registration
    report: str
    """HTML."""
    markdown: str
    """The summary for CI and the KFP UI."""
    timings: dict[str, StepTiming]
    background_imports: dict[str, float]
    """Seconds that each image's warm interpreter spent on imports, beside the steps."""
    seconds: float
    """Wall time of the pipeline, compilation included."""


def run_locally(
    recipe: Recipe,
    output: Path,
    listener: Listener,
    preload: Mapping[str, Sequence[str]] = PRELOAD,
) -> LocalRun:
    """Compile the recipe and run it, step by step, in processes of this machine.

    Steps find MLflow by ``MLFLOW_TRACKING_URI``, not by the pipeline's parameter: the URI may hold
    a password, and parameters are logged.

    Args:
        recipe: what to run; paths in it are absolute.
        output: folder for the pipeline's outputs and the log.
        listener: is told every event of every step.
        preload: what the warm interpreter of each image imports; an image that is not named gets a
            new interpreter for each step.

    Raises:
        UserError: a step refused its input.
        StepFailed: a step broke.
    """
    started = time.time()
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOG).open("w", encoding="utf-8") as log:
        follower = Follower(log, listener)
        with warm_interpreters(preload) as warm:
            # KFP is imported while the interpreters are.
            from pipelines.compiling import compile_recipe

            outputs = _execute(warm.rewrite(compile_recipe(recipe)), output, follower)
            imports = warm.import_seconds()
    return LocalRun(
        evaluation=Evaluation.model_validate_json(_text(outputs["evaluation"])),
        decision=Decision.model_validate_json(_text(outputs["decision"])),
        registration=Registration.model_validate_json(_text(outputs["registration"])),
        report=_text(outputs["report"]),
        markdown=_text(outputs["summary"]),
        timings=follower.timings,
        background_imports=imports,
        seconds=time.time() - started,
    )


def _execute(compiled: str, output: Path, follower: Follower) -> dict[str, Any]:
    from kfp import local
    from kfp.components import load_component_from_text

    pipeline = load_component_from_text(compiled)
    try:
        with (
            _scratch() as scratch,
            contextlib.redirect_stdout(follower),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            local.init(
                runner=local.SubprocessRunner(use_venv=False),
                pipeline_root=str(output / "pipeline"),
                workspace_root=f"{scratch}/workspace",
            )
            task = pipeline()
    except RuntimeError as error:
        if follower.error is None:
            raise StepFailed(f"{error}; see {output / LOG}") from error
        message = follower.error["message"]
        if follower.error["kind"] == "user":
            raise UserError(message) from error
        raise StepFailed(f"{follower.error['step']}: {message}; see {output / LOG}") from error
    return dict(task.outputs)


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


def _text(artifact: Any) -> str:
    return Path(artifact.path).read_text(encoding="utf-8")
