"""What an MLflow run and a registered version show of a pipeline run."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlflow.entities import Run

from components.shared.bundle import ModelBundle
from components.shared.lineage import Stage
from components.shared.recipe.data import SplitName
from components.shared.recipe.objectives import described
from components.shared.results import ArmResult, Decision, Evaluation
from components.shared.teacher import EnsembleModel, TeacherRecord

_DEPLOYED = "deployed"
_PARAMETER_LENGTH = 6000
"""MLflow refuses longer values; the recipe is kept whole as an artifact."""
ROWS_PARAMETER = "rows."
"""Before the name of a split, the parameter with its number of rows."""


def parameters(
    recipe: Mapping[str, Any], bundles: Mapping[str, ModelBundle], rows: Mapping[SplitName, int]
) -> dict[str, str]:
    """The recipe with dotted names, what each arm chose among its candidates, and the rows of each
    split."""
    values = dict(_flatten("", recipe))
    values |= {f"{ROWS_PARAMETER}{split}": str(count) for split, count in rows.items()}
    for arm, bundle in bundles.items():
        if bundle.selection is None:
            continue
        chosen = bundle.selection.choice
        if chosen.method:
            values[f"chosen.{arm}.method"] = described(chosen.method)
        for name in ("steps", "temperature", "weight"):
            value = getattr(chosen, name)
            if value is not None:
                values[f"chosen.{arm}.{name}"] = str(value)
    return {name: _cut(value) for name, value in values.items()}


def chain(assistants: Sequence[Stage]) -> dict[str, str]:
    """Those who learned and labelled before the student, such as ``assistant.1.method``."""
    return {
        f"assistant.{number}.{name}": _cut(str(value))
        for number, stage in enumerate(assistants, 1)
        for name, value in (
            ("digest", stage.digest),
            ("parameters", stage.parameters),
            ("steps", stage.steps),
            ("method", stage.method),
            ("agreement", stage.agreement),
        )
        if value is not None
    }


def points(
    evaluation: Evaluation, decision: Decision, bundles: Mapping[str, ModelBundle]
) -> list[tuple[str, float, int]]:
    """All metrics and learning curves as (metric, value, step)."""
    return [
        *((name, value, 0) for name, value in metrics(evaluation, decision).items()),
        *curves(bundles),
    ]


def metrics(evaluation: Evaluation, decision: Decision) -> dict[str, float]:
    """Every figure that is a finite number, such as ``student.latency_p95_ms``.

    ``deployed`` is the candidate that was chosen or came closest; ``candidate.<name>`` is each.
    """
    results: dict[str, ArmResult] = dict(evaluation.arms.items())
    results |= {f"candidate.{found.name}": found.measured for found in evaluation.candidates}
    results[_DEPLOYED] = evaluation.measured(decision.candidate)
    figures = {
        f"{name}.{figure}": value
        for name, result in results.items()
        for figure, value in _figures(result).items()
    }
    served = evaluation.served_teacher
    if served is not None:  # of which nothing but the quality was measured
        figures |= {f"teacher.{name}": one.value for name, one in served.metrics.items()}
    overall = {"gap_recovered": evaluation.gap_recovered, "retention": evaluation.retention}
    figures |= {name: value for name, value in overall.items() if value is not None}
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def throughput(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """How fast each arm was trained, and what of the GPU it took, such as
    ``training.student.steps_per_second``; of what was trained in this run.

    Args:
        measured: by arm, what its step kept beside the bundle.
    """
    wanted = {
        f"training.{arm}.{name}": values.get(found)
        for arm, values in measured.items()
        for name, found in (
            ("steps_per_second", f"{arm}.steps_per_second"),
            ("gpu_memory_peak_bytes", "gpu_memory_peak_bytes"),
        )
    }
    return {name: value for name, value in wanted.items() if value is not None}


def member_weights(teacher: ModelBundle | TeacherRecord) -> dict[str, float]:
    """What each of several teachers was worth, such as ``teacher.members.0.weight``."""
    if not isinstance(teacher, TeacherRecord) or not isinstance(teacher.model, EnsembleModel):
        return {}
    members = enumerate(teacher.model.members)
    return {f"teacher.members.{number}.weight": member.weight for number, member in members}


def deployed(run: Run) -> dict[str, float]:
    """What a run's MLflow run says of the candidate that was chosen or came closest."""
    prefix = f"{_DEPLOYED}."
    return {
        name.removeprefix(prefix): value
        for name, value in run.data.metrics.items()
        if name.startswith(prefix)
    }


def curves(bundles: Mapping[str, ModelBundle]) -> list[tuple[str, float, int]]:
    """Learning curves as (metric, value, step), such as ``curve.student.loss``."""
    return [
        (f"curve.{arm}.loss", point.loss, point.step)
        for arm, bundle in bundles.items()
        for point in bundle.curve
        if math.isfinite(point.loss)
    ]


def _figures(result: ArmResult) -> dict[str, float]:
    latency, accuracy = result.latency_ms, result.accuracy_interval
    quality: dict[str, float] = {name: metric.value for name, metric in result.metrics.items()}
    return quality | {
        "accuracy_lower": accuracy.lower,
        "accuracy_upper": accuracy.upper,
        "parameters": result.parameters,
        "size_bytes": result.size_bytes,
        "latency_p50_ms": latency.p50.value,
        "latency_p95_ms": latency.p95.value,
        "latency_p99_ms": latency.p99.value,
        "throughput": latency.throughput,
        "cold_start_ms": result.footprint.cold_start_ms,
        "peak_memory_bytes": result.footprint.peak_memory_bytes,
    }


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else key, inner)
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _cut(value: str) -> str:
    return value if len(value) <= _PARAMETER_LENGTH else f"{value[: _PARAMETER_LENGTH - 1]}…"
