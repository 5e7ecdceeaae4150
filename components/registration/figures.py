"""What an MLflow run and a registered version show of a pipeline run."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from components.shared.bundle import ModelBundle
from components.shared.results import ArmResult, Decision, Evaluation

_PARAMETER_LENGTH = 6000
"""MLflow refuses longer values; the recipe is kept whole as an artifact."""


def parameters(recipe: Mapping[str, Any], bundles: Mapping[str, ModelBundle]) -> dict[str, str]:
    """The recipe with dotted names, and what each arm chose among its candidates."""
    values = dict(_flatten("", recipe))
    for arm, bundle in bundles.items():
        if bundle.selection is None:
            continue
        chosen = bundle.selection.candidates[bundle.selection.chosen]
        for name in ("steps", "temperature", "weight"):
            value = getattr(chosen, name)
            if value is not None:
                values[f"chosen.{arm}.{name}"] = str(value)
    return {name: _cut(value) for name, value in values.items()}


def metrics(evaluation: Evaluation, decision: Decision) -> dict[str, float]:
    """Every figure that is a finite number, such as ``student.latency_p95_ms``.

    ``deployed`` is the candidate that was chosen or came closest; ``candidate.<name>`` is each.
    """
    results: dict[str, ArmResult] = dict(evaluation.arms.items())
    results |= {f"candidate.{found.name}": found.measured for found in evaluation.candidates}
    results["deployed"] = evaluation.measured(decision.candidate)
    figures = {
        f"{name}.{figure}": value
        for name, result in results.items()
        for figure, value in _figures(result).items()
    }
    overall = {"gap_recovered": evaluation.gap_recovered, "retention": evaluation.retention}
    figures |= {name: value for name, value in overall.items() if value is not None}
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def curves(bundles: Mapping[str, ModelBundle]) -> list[tuple[str, float, int]]:
    """Learning curves as (metric, value, step), such as ``curve.student.loss``."""
    return [
        (f"curve.{arm}.loss", point.loss, point.step)
        for arm, bundle in bundles.items()
        for point in bundle.curve
        if math.isfinite(point.loss)
    ]


def description(
    name: str, student: ModelBundle, evaluation: Evaluation, decision: Decision, run_id: str
) -> str:
    """A registered version's description, as Markdown."""
    lines = [
        f"Student of the recipe `{name}` ({student.model.family}), distilled by run `{run_id}` and "
        f"deployed as `{decision.candidate}`.",
        "",
        f"| on {evaluation.rows:,} test rows | accuracy | p95 latency | size |",
        "|---|---|---|---|",
    ]
    this = ("this version", evaluation.measured(decision.candidate))
    for title, result in (this, *evaluation.arms.items()):
        lines.append(
            f"| {title.replace('_', ' ')} | {result.accuracy:.4f} "
            f"| {result.latency_ms.p95.value:.4f} ms | {result.size_bytes:,} bytes |"
        )
    if evaluation.gap_recovered is not None:
        lines += ["", f"Gap recovered: {evaluation.gap_recovered:.0%}."]
    return "\n".join(lines)


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
