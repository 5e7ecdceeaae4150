"""The evaluation steps, free of KFP."""

import math
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import onnxruntime

from components.evaluation.judging.gates import decide
from components.evaluation.measuring.evaluate import evaluate
from components.evaluation.reporting.markdown import as_markdown
from components.evaluation.reporting.report import ReportContext, render_report
from components.shared import events
from components.shared.bundle import read_bundle
from components.shared.dataset import Dataset
from components.shared.files import write_atomically
from components.shared.recipe import EvaluationSpec, Gates, Recipe, parse_section
from components.shared.records import read_record
from components.shared.results import (
    CHAMPION_RECORD,
    ArmName,
    ArmResult,
    ChampionRecord,
    Decision,
    Evaluation,
)


def evaluate_student(
    dataset: Path,
    arms: Mapping[ArmName, Path],
    candidates: Path,
    champion: Path,
    evaluation_spec: dict[str, Any],
    output: Path,
) -> dict[str, float]:
    """Measure all models on the test rows and write the evaluation.

    Args:
        dataset: resolved data set.
        arms: deployable folders of teacher, hard_label and pseudo_label.
        candidates: folder with the deployable forms of the student.
        champion: folder that fetch_champion wrote.
        evaluation_spec: the recipe's section ``evaluation``.
        output: file for the evaluation.

    Returns:
        The main figures; finite numbers only, since KFP's ``Metrics`` cannot hold others.

    Raises:
        SystemExit: with status 2, where a model or the data set cannot be measured.
    """
    with events.step("evaluate_student"):
        spec = parse_section(EvaluationSpec, evaluation_spec, "evaluation")
        evaluation = evaluate(dataset, arms, candidates, champion, spec)
        write_atomically(output, evaluation.model_dump_json(indent=2))
        for name, result in measured(evaluation).items():
            events.emit(
                "measured",
                model=name,
                accuracy=result.accuracy,
                p95_ms=result.latency_ms.p95.value,
                size_bytes=result.size_bytes,
            )
        return main_figures(evaluation)


def decide_promotion(
    evaluation: Path, gates: dict[str, Any], decision: Path, verdict: Path
) -> Decision:
    """Judge the evaluation, and write decision and verdict.

    Args:
        evaluation: file that :func:`evaluate_student` wrote.
        gates: the recipe's section ``gates``.
        decision: file for the decision.
        verdict: file for the one word ``promote`` or ``reject``.

    Raises:
        SystemExit: with status 2, where the evaluation is damaged or the gates are not valid.
    """
    with events.step("decide_promotion"):
        policy = parse_section(Gates, gates, "gates")
        decided = decide(_evaluation(evaluation), policy)
        write_atomically(decision, decided.model_dump_json(indent=2))
        write_atomically(verdict, decided.verdict)
        events.emit(
            "decided",
            verdict=decided.verdict,
            candidate=decided.candidate,
            summary=decided.summary,
            failed=[check.gate for check in decided.checks if not check.passed],
        )
        return decided


class Classification(NamedTuple):
    """Confusion matrix and ROC curve as KFP's ``ClassificationMetrics`` takes them."""

    classes: list[str]
    confusion: list[list[int]]
    thresholds: list[float]
    """Falling; empty where there is no curve."""
    true_positive_rates: list[float]
    false_positive_rates: list[float]


def report_results(
    recipe: Path,
    dataset: Path,
    evaluation: Path,
    decision: Path,
    champion: Path,
    bundles: Mapping[ArmName, Path],
    run_id: str,
    report: Path,
    summary: Path,
) -> Classification:
    """Write the report and the summary.

    Args:
        recipe: file with the whole recipe.
        dataset: resolved data set.
        evaluation: file that :func:`evaluate_student` wrote.
        decision: file that :func:`decide_promotion` wrote.
        champion: folder that fetch_champion wrote.
        bundles: model bundle of each trained arm.
        run_id: identity of the pipeline run.
        report: file for the HTML report.
        summary: file for the Markdown summary.

    Returns:
        What the KFP UI draws.

    Raises:
        SystemExit: with status 2, where an input is damaged.
    """
    with events.step("report_results"):
        measurements = _evaluation(evaluation)
        decided = read_record(decision, Decision, "decision")
        page = render_report(
            measurements,
            decided,
            {arm: read_bundle(folder) for arm, folder in bundles.items()},
            read_record(champion / CHAMPION_RECORD, ChampionRecord, "champion record"),
            ReportContext(
                recipe=read_record(recipe, Recipe, "recipe").model_dump(
                    mode="json", exclude_none=True
                ),
                run_id=run_id,
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
        write_atomically(summary, as_markdown(decided, measurements))
        student = measurements.measured(decided.candidate)
        return Classification(
            classes=measurements.classes,
            confusion=student.confusion,
            thresholds=[point.threshold for point in student.roc],
            true_positive_rates=[point.true_positive_rate for point in student.roc],
            false_positive_rates=[point.false_positive_rate for point in student.roc],
        )


def measured(evaluation: Evaluation) -> dict[str, ArmResult]:
    """Everything that was measured: arms by their name, candidates as ``candidate_<name>``."""
    results: dict[str, ArmResult] = dict(evaluation.arms.items())
    return results | {f"candidate_{one.name}": one.measured for one in evaluation.candidates}


def main_figures(evaluation: Evaluation) -> dict[str, float]:
    """Accuracy, latency and size of every model, and how much of the gap was recovered."""
    figures: dict[str, float | None] = {
        "gap_recovered": evaluation.gap_recovered,
        "retention": evaluation.retention,
    }
    for name, result in measured(evaluation).items():
        figures[f"{name}_accuracy"] = result.accuracy
        figures[f"{name}_p95_ms"] = result.latency_ms.p95.value
        figures[f"{name}_size_bytes"] = result.size_bytes
    return {
        name: float(value)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }


def _evaluation(path: Path) -> Evaluation:
    return read_record(path, Evaluation, "evaluation")
