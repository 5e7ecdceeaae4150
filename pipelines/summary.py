"""``summary.json``: what a run came to, for scripts."""

from typing import Any

from components.shared.recipe import Recipe
from components.shared.results import TRAINED_ARMS, ArmResult, Quality
from pipelines.local import LocalRun


def summarise(recipe: Recipe, run: LocalRun) -> dict[str, Any]:
    """The content of ``summary.json``.

    ``timings_s`` has, per step, ``startup`` (from the end of the step before until this one's
    libraries are imported; for the first step compiling too) and ``work``. What the warm
    interpreters import meanwhile, on another core, is in ``background_imports_s``; ``total_s`` is
    the wall time of the whole run.
    """
    evaluation, registration = run.evaluation, run.registration
    arms: dict[str, Quality | None] = {
        name: evaluation.arms.get(name) for name in (*TRAINED_ARMS, "champion")
    }
    arms["teacher"] = evaluation.teacher
    steps = {
        name: {"startup": round(timing.startup, 3), "work": round(timing.work, 3)}
        for name, timing in run.timings.items()
    }
    return {
        "format_version": 1,
        "recipe": recipe.name,
        "verdict": run.decision.verdict,
        "outcome": registration.outcome,
        "summary": run.decision.summary,
        "reasons": [check.reason for check in run.decision.checks if not check.passed],
        "warnings": run.decision.warnings,
        "data_remarks": run.validation.remarks,
        "arms": {name: arm and _arm(arm) for name, arm in arms.items()},
        "candidate": run.decision.candidate,
        "candidates": {
            judged.name: {"passed": judged.passed, **_arm(evaluation.measured(judged.name))}
            for judged in run.decision.candidates
        },
        "skipped_candidates": {skipped.name: skipped.reason for skipped in evaluation.skipped},
        "gap_recovered": evaluation.gap_recovered,
        "retention": evaluation.retention,
        "model": {
            "name": registration.model,
            "version": registration.version,
            "alias": registration.alias,
        },
        "registry": registration.summary,
        "champion_before": run.decision.champion_version,
        "mlflow_run_id": registration.mlflow_run_id,
        "digests": {
            "dataset": run.decision.dataset_digest,
            "deployed": run.decision.student_digest,
            "onnx": {name: arm.model_digest for name, arm in evaluation.arms.items()},
            "bundles": {name: arm.bundle_digest for name, arm in evaluation.arms.items()},
        },
        "seed": recipe.seed,
        "timings_s": steps,
        "background_imports_s": {
            image: round(seconds, 3) for image, seconds in run.background_imports.items()
        },
        "total_s": round(run.seconds, 3),
    }


def _arm(arm: Quality) -> dict[str, Any]:
    """A teacher that was not run here has no size and no times."""
    quality: dict[str, Any] = {
        **{name: metric.value for name, metric in arm.metrics.items()},
        "accuracy_interval": [arm.accuracy_interval.lower, arm.accuracy_interval.upper],
    }
    if not isinstance(arm, ArmResult):
        return quality
    latency = arm.latency_ms
    return {
        **quality,
        "parameters": arm.parameters,
        "size_bytes": arm.size_bytes,
        "latency_ms": {name: getattr(latency, name).value for name in ("p50", "p95", "p99")},
        "throughput": latency.throughput,
        "cold_start_ms": arm.footprint.cold_start_ms,
        "peak_memory_bytes": arm.footprint.peak_memory_bytes,
    }
