"""The report of a run: one HTML page that needs nothing but itself."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from components.evaluation.reporting import (
    chart_tradeoff,
    confusion,
    section_latency,
    section_slices,
    section_verdict,
    statements,
)
from components.evaluation.reporting.arm_titles import arm_titles
from components.evaluation.reporting.changes import since_champion
from components.evaluation.reporting.chart_limits import limits
from components.evaluation.reporting.chart_panels import gap_bar, reliability
from components.evaluation.reporting.environment import environment
from components.evaluation.reporting.listing import (
    Judged,
    Model,
    judged,
    listed,
    plain,
    served_teacher,
    subject,
    subject_name,
)
from components.evaluation.reporting.section_candidates import candidate_rows
from components.evaluation.reporting.section_chain import links
from components.evaluation.reporting.section_champion import champion_section
from components.evaluation.reporting.section_diagnosis import diagnosis_section
from components.evaluation.reporting.section_figures import key_figures, leaning
from components.evaluation.reporting.section_metrics import metric_table
from components.evaluation.reporting.section_provenance import digests
from components.evaluation.reporting.section_training import trainings
from components.shared.bundle import ModelBundle
from components.shared.results import ArmName, ArmResult, ChampionRecord, Decision, Evaluation
from components.shared.teacher import TeacherRecord

_MIN_SLICE_ROWS = 30
"""Test rows below which a slice says little, where the recipe does not say how many."""


@dataclass(frozen=True)
class ReportContext:
    """The run that a report is about."""

    recipe: dict[str, Any]
    """The whole recipe as plain JSON."""
    run_id: str
    source: str
    """Where the data set was resolved from."""
    created: datetime
    about_the_data: list[str] = field(default_factory=list)
    """What the checks of the data let through, but warn of."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the software that measured, by name."""
    imported_teacher: TeacherRecord | None = None
    """The teacher, where it is no model bundle."""


def render_report(
    evaluation: Evaluation,
    decision: Decision,
    bundles: dict[ArmName, ModelBundle],
    champion: ChampionRecord,
    context: ReportContext,
) -> str:
    """Write the report.

    Args:
        evaluation: what was measured.
        decision: the verdict on it.
        bundles: how student, hard_label, pseudo_label and teacher were trained; without the teacher
            where it is no bundle.
        champion: what is known of the champion, or why there is none.
        context: the run.

    Returns:
        An HTML page without scripts and without references to anything outside of it.
    """
    models = listed(evaluation, decision)
    everyone = judged(models, evaluation)
    teacher = context.imported_teacher or bundles["teacher"]
    student = subject(evaluation, decision).measured
    template = environment().get_template("report.html.j2")
    return template.render(
        evaluation=evaluation,
        decision=decision,
        context=context,
        models=models,
        plain=plain(evaluation),
        subject_name=subject_name(evaluation, decision),
        failed=[check for check in decision.checks if not check.passed],
        outcome=section_verdict.outcome(evaluation, decision),
        choice=section_verdict.choice(decision, context.recipe),
        sureness=section_verdict.sureness(decision),
        finding=statements.distillation(evaluation),
        diagnosis=diagnosis_section(evaluation.diagnosis),
        gap_bar=gap_bar(evaluation),
        tiles=key_figures(evaluation, decision),
        front=[model.title for model in chart_tradeoff.pareto_front(models)],
        candidates=candidate_rows(evaluation, decision),
        versus=champion_section(evaluation, decision),
        changes=since_champion(champion, evaluation.dataset_digest, teacher.digest, context.recipe),
        metrics=metric_table(everyone),
        served=served_teacher(evaluation),
        chain=links(bundles["student"], teacher.digest),
        training=trainings(bundles, arm_titles(evaluation)),
        digests=digests(evaluation, decision, bundles, context.imported_teacher, teacher.digest),
        **_tradeoff(models, evaluation, decision),
        **_slices(student, evaluation, context.recipe),
        **_latency(models, evaluation),
        **_classes(student, evaluation),
        **_calibration(everyone),
    )


def _tradeoff(models: list[Model], evaluation: Evaluation, decision: Decision) -> dict[str, Any]:
    asked = limits(evaluation, decision)
    frames = {"wide": chart_tradeoff.WIDE, "narrow": chart_tradeoff.NARROW}
    return {
        f"tradeoff_{which}": chart_tradeoff.tradeoff_chart(
            models, asked, frame, f"tradeoff-{which}"
        )
        for which, frame in frames.items()
    }


def _slices(student: ArmResult, evaluation: Evaluation, recipe: dict[str, Any]) -> dict[str, Any]:
    gate = recipe["gates"].get("worst_slice") or {}
    min_rows = gate.get("min_rows", _MIN_SLICE_ROWS)
    champion = evaluation.arms.get("champion")
    return {
        "slices": section_slices.slices_section(student, champion, min_rows),
        "min_slice_rows": min_rows,
    }


def _latency(models: list[Model], evaluation: Evaluation) -> dict[str, Any]:
    return {
        "judged_condition": section_latency.condition(models[0].result.latency_ms),
        "latency_panels": section_latency.latency_panels(models),
        "conditions": section_latency.conditions(models),
        "noise": section_latency.noise_sentences(evaluation.noise),
    }


def _classes(student: ArmResult, evaluation: Evaluation) -> dict[str, Any]:
    few = len(evaluation.classes) <= confusion.MOST_CLASSES
    return {
        "few_classes": few,
        "matrix": confusion.matrix(student.confusion, evaluation.classes),
        "confused": confusion.most_confused(student, evaluation.classes),
        "class_results": student.per_class if few else confusion.worst_first(student),
    }


def _calibration(models: list[Judged]) -> dict[str, Any]:
    """Of the model that the verdict is on, which is the first, and of the teacher."""
    shown = [models[0], *(model for model in models if model.look == "teacher")]
    return {"calibration": [(model, reliability(model), leaning(model.result)) for model in shown]}
