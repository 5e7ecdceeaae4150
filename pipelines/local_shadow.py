"""Comparing a challenger with the champion on this machine, through the same pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared import images
from components.shared.results import Comparison
from pipelines.executing import execute
from pipelines.following import Listener
from pipelines.local import PRELOAD
from pipelines.step_runners import Subprocesses

_PRELOAD = {
    images.REGISTRATION: (
        "components.registration.shadow_steps",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
        "sqlalchemy.dialects.sqlite",
    ),
    images.DATA_VALIDATION: ("components.data_validation.fresh.collect", "pyarrow.dataset"),
    images.EVALUATION: PRELOAD[images.EVALUATION],
}
"""What each image's warm interpreter imports, in the order in which the pipeline needs it."""


@dataclass(frozen=True)
class LocalComparison:
    """A comparison that went to its end."""

    comparison: Comparison
    json: str
    page: str
    """HTML."""


def compare_locally(
    arguments: Mapping[str, Any], output: Path, listener: Listener
) -> LocalComparison:
    """Run the pipeline, step by step, in processes of this machine.

    Steps find MLflow by ``MLFLOW_TRACKING_URI``, as in :func:`pipelines.local.run_locally`.

    Args:
        arguments: of :func:`pipelines.shadow.shadow`; paths are absolute.
        output: folder for the pipeline's outputs and the log.
        listener: is told every event of every step.

    Raises:
        UserError: a step refused its input.
        StepFailed: a step broke.
    """

    def compiled() -> str:
        from pipelines.compiling import compile_shadow

        return compile_shadow(for_cluster=False)

    outputs = execute(compiled, arguments, output, listener, Subprocesses(_PRELOAD)).outputs
    text = Path(outputs["comparison"].path).read_text(encoding="utf-8")
    return LocalComparison(
        comparison=Comparison.model_validate_json(text),
        json=text,
        page=Path(outputs["page"].path).read_text(encoding="utf-8"),
    )
