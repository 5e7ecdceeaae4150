"""The evaluation steps, free of KFP."""

import math
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
from pydantic import ValidationError

from components.evaluation.evaluate import evaluate
from components.evaluation.gates import decide
from components.evaluation.report import ReportContext, render_report
from components.shared import events
from components.shared.bundle import read_bundle
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import EvaluationSpec, Gates, RegistrySpec, parse_section
from components.shared.results import ArmName, Decision, Evaluation


def evaluate_student(
    dataset: Path,
    arms: Mapping[ArmName, Path],
    champion: Path,
    champion_version: str,
    evaluation_spec: dict[str, Any],
    output: Path,
) -> dict[str, float]:
    """Measure all arms on the test rows and write the evaluation.

    Args:
        dataset: resolved data set.
        arms: deployable folder of each trained arm.
        champion: deployable folder of the champion; not read where there is none.
        champion_version: the champion's version in the registry, or empty.
        evaluation_spec: the recipe's section ``evaluation``.
        output: file for the evaluation.

    Returns:
        The main figures; finite numbers only, since KFP's ``Metrics`` cannot hold others.

    Raises:
        SystemExit: with status 2, where a model or the data set cannot be measured.
    """
    with events.step("evaluate_student"):
        spec = parse_section(EvaluationSpec, evaluation_spec, "evaluation")
        evaluation = evaluate(
            dataset,
            arms,
            champion=champion if champion_version else None,
            champion_version=champion_version or None,
            spec=spec,
        )
        write_atomically(output, evaluation.model_dump_json(indent=2))
        for arm, result in evaluation.arms.items():
            events.emit(
                "measured",
                step="evaluate_student",
                arm=arm,
                accuracy=result.accuracy,
                p95_ms=result.latency_ms.p95.value,
                size_bytes=result.size_bytes,
            )
        return main_figures(evaluation)


def decide_promotion(
    evaluation: Path,
    gates: dict[str, Any],
    bundles: Mapping[ArmName, Path],
    dataset: Path,
    recipe_name: str,
    seed: int,
    run_id: str,
    registry: dict[str, Any],
    decision: Path,
    report: Path,
    verdict: Path,
) -> Decision:
    """Judge the evaluation, and write decision, report and verdict.

    Args:
        evaluation: file that :func:`evaluate_student` wrote.
        gates: the recipe's section ``gates``.
        bundles: model bundle of each trained arm.
        dataset: resolved data set.
        recipe_name: name of the recipe.
        seed: seed of the run.
        run_id: identity of the pipeline run.
        registry: the recipe's section ``registry``.
        decision: file for the decision.
        report: file for the HTML report.
        verdict: file for the one word ``promote`` or ``reject``.

    Raises:
        SystemExit: with status 2, where an input is damaged or the gates are not valid.
    """
    with events.step("decide_promotion"):
        measured = _read_evaluation(evaluation)
        decided = decide(measured, parse_section(Gates, gates, "gates"))
        page = render_report(
            measured,
            decided,
            {arm: read_bundle(folder) for arm, folder in bundles.items()},
            ReportContext(
                recipe=recipe_name,
                seed=seed,
                run_id=run_id,
                model=parse_section(RegistrySpec, registry, "registry").model,
                source=Dataset.open(dataset).manifest.source,
                created=datetime.now(UTC),
                versions={
                    "Python": platform.python_version(),
                    "ONNX Runtime": onnxruntime.__version__,
                    "NumPy": numpy.__version__,
                },
            ),
        )
        write_atomically(report, page)
        write_atomically(decision, decided.model_dump_json(indent=2))
        write_atomically(verdict, decided.verdict)
        events.emit(
            "decided",
            step="decide_promotion",
            verdict=decided.verdict,
            summary=decided.summary,
            failed=[check.gate for check in decided.checks if not check.passed],
        )
        return decided


def main_figures(evaluation: Evaluation) -> dict[str, float]:
    """Accuracy, latency and size of every arm, and how much of the gap was recovered."""
    figures: dict[str, float | None] = {
        "gap_recovered": evaluation.gap_recovered,
        "retention": evaluation.retention,
    }
    for arm, result in evaluation.arms.items():
        figures[f"{arm}_accuracy"] = result.accuracy
        figures[f"{arm}_calibration_error"] = result.calibration_error
        figures[f"{arm}_p95_ms"] = result.latency_ms.p95.value
        figures[f"{arm}_size_bytes"] = result.size_bytes
    return {
        name: float(value)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }


def _read_evaluation(path: Path) -> Evaluation:
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path}: not a valid evaluation: {error}") from error
