"""The evaluation steps, free of KFP."""

import math
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import onnxruntime

from components.evaluation.comparing.compare import compare_models
from components.evaluation.comparing.page import render_page
from components.evaluation.comparing.policy import Policy
from components.evaluation.diagnosis.diagnose import diagnose
from components.evaluation.diagnosis.measured import Measured
from components.evaluation.judging.gates import decide
from components.evaluation.measuring.evaluate import evaluate
from components.evaluation.reporting.markdown import as_markdown
from components.evaluation.reporting.report import ReportContext, render_report
from components.shared import events
from components.shared.bundle import ModelBundle, read_bundle
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import EvaluationSpec, Gates, Recipe, parse_section
from components.shared.records import read_record
from components.shared.registered import RegisteredModel
from components.shared.results import (
    CHAMPION_RECORD,
    ArmName,
    ArmResult,
    ChampionRecord,
    Comparison,
    Decision,
    Evaluation,
)
from components.shared.results.validation import VALIDATION, ValidationResult
from components.shared.teacher import TeacherRecord, read_teacher


def evaluate_student(
    dataset: Path,
    arms: Mapping[ArmName, Path],
    candidates: Path,
    champion: Path,
    evaluation_spec: dict[str, Any],
    output: Path,
    student_bundle: Path | None = None,
    validation: Path | None = None,
) -> dict[str, float]:
    """Measure all models on the test rows, say why distillation did or did not help, and write the
    evaluation.

    Args:
        dataset: resolved data set.
        arms: deployable folders of teacher, hard_label and pseudo_label; of a teacher that is none
            the folder with its predictions.
        candidates: folder with the deployable forms of the student.
        champion: folder that fetch_champion wrote.
        evaluation_spec: the recipe's section ``evaluation``.
        output: file for the evaluation.
        student_bundle: model bundle that the candidates were made from, which says how the student
            was trained.
        validation: folder with the result of the checks of the data.

    Returns:
        The main figures; finite numbers only, since KFP's ``Metrics`` cannot hold others.

    Raises:
        SystemExit: with status 2, where a model or the data set cannot be measured, or the bundle
            is another student's.
    """
    with events.step("evaluate_student"):
        spec = parse_section(EvaluationSpec, evaluation_spec, "evaluation")
        bundle = read_bundle(student_bundle) if student_bundle else None
        checked = _checks(validation) if validation else None
        evaluation = evaluate(dataset, arms, candidates, champion, spec)
        if bundle is not None and bundle.digest != evaluation.arms["student"].bundle_digest:
            raise UserError(
                f"{student_bundle}: not the bundle that the candidates in {candidates} were made "
                "from; pass that one"
            )
        rows = Dataset.open(dataset).manifest.rows
        diagnosis = diagnose(Measured.of(evaluation, rows, bundle, checked))
        evaluation = evaluation.model_copy(update={"diagnosis": diagnosis})
        write_atomically(output, evaluation.model_dump_json(indent=2))
        for name, result in measured(evaluation).items():
            events.emit(
                "measured",
                model=name,
                accuracy=result.accuracy,
                p95_ms=result.latency_ms.p95.value,
                size_bytes=result.size_bytes,
            )
        for finding in diagnosis.notable:
            events.emit("diagnosed", topic=finding.topic, severity=finding.severity)
        if evaluation.served_teacher is not None:
            events.emit("measured", model="teacher", accuracy=evaluation.teacher.accuracy)
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
            gates={check.gate: check.passed for check in decided.checks},
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
    validation: Path,
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
        validation: folder with the result of the checks of the data.
        evaluation: file that :func:`evaluate_student` wrote.
        decision: file that :func:`decide_promotion` wrote.
        champion: folder that fetch_champion wrote.
        bundles: model bundle of each trained arm; of the teacher any teacher artifact.
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
        described = {arm: read_teacher(folder) for arm, folder in bundles.items()}
        teacher = described["teacher"]
        checked = _checks(validation)
        page = render_report(
            measurements,
            decided,
            {arm: one for arm, one in described.items() if isinstance(one, ModelBundle)},
            read_record(champion / CHAMPION_RECORD, ChampionRecord, "champion record"),
            ReportContext(
                recipe=read_record(recipe, Recipe, "recipe").model_dump(
                    mode="json", exclude_none=True
                ),
                run_id=run_id,
                source=Dataset.open(dataset).manifest.source,
                created=datetime.now(UTC),
                about_the_data=checked.remarks,
                versions={
                    "Python": platform.python_version(),
                    "ONNX Runtime": onnxruntime.__version__,
                    "NumPy": numpy.__version__,
                },
                imported_teacher=teacher if isinstance(teacher, TeacherRecord) else None,
            ),
        )
        write_atomically(report, page)
        write_atomically(summary, as_markdown(decided, measurements, checked.remarks))
        student = measurements.measured(decided.candidate)
        return Classification(
            classes=measurements.classes,
            confusion=student.confusion,
            thresholds=[point.threshold for point in student.roc],
            true_positive_rates=[point.true_positive_rate for point in student.roc],
            false_positive_rates=[point.false_positive_rate for point in student.roc],
        )


def compare_challenger(
    model: str,
    rows: Path,
    champion: Path,
    challenger: Path,
    policy: dict[str, Any],
    comparison: Path,
    page: Path,
    recommendation: Path,
) -> dict[str, float]:
    """Compare a challenger with the champion on fresh rows.

    Args:
        model: name of the registered model.
        rows: artifact of the fresh rows, as collect_rows wrote it.
        champion: folder of the champion, as fetch_version wrote it.
        challenger: folder of the challenger.
        policy: the fields of :class:`Policy`.
        comparison: file for the comparison.
        page: file for the same as HTML.
        recommendation: file for the one word ``supports``, ``against`` or ``inconclusive``.

    Returns:
        The main figures; finite numbers only, since KFP's ``Metrics`` cannot hold others.

    Raises:
        SystemExit: with status 2, where the two cannot be compared on these rows.
    """
    with events.step("compare_challenger"):
        compared = compare_models(
            model,
            rows,
            RegisteredModel.read("champion", champion),
            RegisteredModel.read("challenger", challenger),
            parse_section(Policy, policy, "policy"),
        )
        write_atomically(comparison, compared.model_dump_json(indent=2))
        write_atomically(page, render_page(compared))
        write_atomically(recommendation, compared.recommendation)
        events.emit(
            "compared",
            champion=compared.champion.version,
            challenger=compared.challenger.version,
            rows=compared.rows.rows,
            recommendation=compared.recommendation,
            summary=compared.summary,
        )
        return compared_figures(compared)


def measured(evaluation: Evaluation) -> dict[str, ArmResult]:
    """Everything that was measured: arms by their name, candidates as ``candidate_<name>``."""
    results: dict[str, ArmResult] = dict(evaluation.arms.items())
    return results | {f"candidate_{one.name}": one.measured for one in evaluation.candidates}


def main_figures(evaluation: Evaluation) -> dict[str, float]:
    """Accuracy, latency and size of every model, and how much of the gap was recovered."""
    figures: dict[str, float | None] = {
        "gap_recovered": evaluation.gap_recovered,
        "retention": evaluation.retention,
        "teacher_accuracy": evaluation.teacher.accuracy,
    }
    for name, result in measured(evaluation).items():
        figures[f"{name}_accuracy"] = result.accuracy
        figures[f"{name}_p95_ms"] = result.latency_ms.p95.value
        figures[f"{name}_size_bytes"] = result.size_bytes
    return _finite(figures)


def compared_figures(comparison: Comparison) -> dict[str, float]:
    """Rows, agreement, difference in accuracy and in latency."""
    labelled = comparison.labelled
    return _finite(
        {
            "labelled_rows": comparison.rows.labelled,
            "unlabelled_rows": comparison.rows.unlabelled,
            "agreement": comparison.agreement.estimate.value,
            "agreement_lower": comparison.agreement.lower,
            "total_variation": comparison.total_variation,
            "accuracy_difference": labelled.difference if labelled else None,
            "accuracy_difference_lower": labelled.lower if labelled else None,
            "latency_ratio": comparison.latency_ratio,
        }
    )


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }


def _checks(folder: Path) -> ValidationResult:
    return read_record(folder / VALIDATION, ValidationResult, "validation result")


def _evaluation(path: Path) -> Evaluation:
    return read_record(path, Evaluation, "evaluation")
