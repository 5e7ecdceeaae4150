"""Running a recipe on this machine, through the KFP SDK's own local runner."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared import images
from components.shared.recipe import Recipe
from components.shared.results import Decision, Evaluation, Registration
from components.shared.results.validation import VALIDATION, ValidationResult
from pipelines.executing import execute
from pipelines.following import Listener, StepTiming
from pipelines.step_runners import StepRunner, Subprocesses

_TORCH = (
    "components.training.steps",
    "torch._dynamo",
    "torch._inductor.config",
    "pyarrow.dataset",
    "components.soft_labels.steps",
    "components.soft_labels.teachers.opening",
    "components.compression.steps",
    "onnx",
    "torch.onnx._internal.torchscript_exporter.utils",
    "onnxruntime.quantization",
    "torch_pruning",
    "safetensors.torch",
    "safetensors.numpy",
)
PRELOAD = {
    images.DATA_VALIDATION: (
        "components.data_validation.builtin",
        "components.data_validation.resolve",
        "pyarrow.dataset",
        "components.data_validation.steps",
        "components.data_validation.validate",
        "components.data_validation.verdict",
    ),
    images.TRAINING: _TORCH,
    images.SOFT_LABELS: _TORCH,
    images.COMPRESSION: _TORCH,
    images.EVALUATION: ("components.evaluation.steps", "pyarrow.dataset"),
    images.REGISTRATION: (
        "components.registration.steps",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.pyfunc.loaders",
        "alembic.config",
        "mlflow.tracing.processor.base_mlflow",
        "sqlalchemy.dialects.sqlite",
    ),
}
"""What each image's warm interpreter imports, in the order in which the pipeline needs it: steps,
and what their libraries would import late (torch loads its compiler with the first optimizer)."""
IN_PROCESSES = Subprocesses(PRELOAD)


@dataclass(frozen=True)
class LocalRun:
    """A run that went to its end."""

    evaluation: Evaluation
    validation: ValidationResult
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
    runner: StepRunner = IN_PROCESSES,
    git_commit: str = "",
    references: Mapping[str, str] | None = None,
) -> LocalRun:
    """Compile the recipe and run it, step by step, on this machine.

    Steps find MLflow by ``MLFLOW_TRACKING_URI``, not by the pipeline's parameter: the URI may hold
    a password, and parameters are logged.

    Args:
        recipe: what to run; paths in it are absolute.
        output: folder for the pipeline's outputs and the log.
        listener: is told every event of every step.
        runner: what runs the steps.
        git_commit: the commit that the recipe is from; empty where it is not known.
        references: what stands for our images, by the last parts of their names; null for the
            names themselves.

    Raises:
        UserError: a step refused its input.
        StepFailed: a step broke.
    """
    started = time.time()

    def compiled() -> str:
        from pipelines.compiling import compile_recipe

        # Here somebody looks on, who would see a mistake four times.
        return compile_recipe(recipe, for_cluster=False, images=references)

    done = execute(compiled, {"git_commit": git_commit}, output, listener, runner)
    outputs = done.outputs
    return LocalRun(
        evaluation=Evaluation.model_validate_json(_text(outputs["evaluation"])),
        validation=ValidationResult.model_validate_json(
            (Path(outputs["validation"].path) / VALIDATION).read_text(encoding="utf-8")
        ),
        decision=Decision.model_validate_json(_text(outputs["decision"])),
        registration=Registration.model_validate_json(_text(outputs["registration"])),
        report=_text(outputs["report"]),
        markdown=_text(outputs["summary"]),
        timings=done.timings,
        background_imports=done.background_imports,
        seconds=time.time() - started,
    )


def _text(artifact: Any) -> str:
    """Of the last attempt: where the champion moved, the student was judged again.

    KFP's local runner has no outputs that come from either of two branches, but the tasks of a
    second branch have the same names, with a number.
    """
    first = Path(artifact.path)
    again = first.parent.with_name(f"{first.parent.name}-2") / first.name
    return (again if again.exists() else first).read_text(encoding="utf-8")
