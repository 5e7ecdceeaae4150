"""KFP interface of the evaluation steps."""

from typing import Any

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def evaluate_student(
    dataset: dsl.Input[dsl.Dataset],
    candidates: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    hard_label: dsl.Input[dsl.Model],
    pseudo_label: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    evaluation_spec: dict[str, Any],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    student_bundle: dsl.Input[dsl.Model] = None,
    validation: dsl.Input[dsl.Artifact] = None,
) -> None:
    """Measure all forms of the student, the other arms and the champion on the same test rows, and
    say why distillation did or did not help.

    Args:
        dataset: resolved data set.
        candidates: the deployable forms of the student, as compress_student made them.
        teacher: deployable teacher, or its predictions, as compress_student made them.
        hard_label: deployable student that was trained on the labels alone.
        pseudo_label: deployable student that was trained on the teacher's classes.
        champion: folder of the present champion, as fetch_champion wrote it.
        evaluation_spec: the recipe's section `evaluation`.
        evaluation: JSON of every measurement, with confidence intervals, and the diagnosis.
        metrics: the main figures, for the KFP UI.
        student_bundle: model bundle of the student, which says how it was trained; without it the
            diagnosis lacks what follows from that.
        validation: result of validate_data, which says whether the training rows cover the test
            rows.
    """
    from pathlib import Path

    from components.evaluation import steps

    figures = steps.evaluate_student(
        dataset=Path(dataset.path),
        arms={
            "teacher": Path(teacher.path),
            "hard_label": Path(hard_label.path),
            "pseudo_label": Path(pseudo_label.path),
        },
        candidates=Path(candidates.path),
        champion=Path(champion.path),
        evaluation_spec=evaluation_spec,
        output=Path(evaluation.path),
        student_bundle=Path(student_bundle.path) if student_bundle else None,
        validation=Path(validation.path) if validation else None,
    )
    for name, value in figures.items():
        metrics.log_metric(name, value)


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def decide_promotion(
    evaluation: dsl.Input[dsl.Artifact],
    gates: dict[str, Any],
    decision: dsl.Output[dsl.Artifact],
    verdict: dsl.OutputPath(str),
) -> None:
    """Judge an evaluation by the gates.

    Args:
        evaluation: JSON that evaluate_student wrote.
        gates: the recipe's section `gates`.
        decision: JSON of the verdict and every check behind it.
        verdict: `promote` or `reject`.
    """
    from pathlib import Path

    from components.evaluation import steps

    made = steps.decide_promotion(Path(evaluation.path), gates, Path(decision.path), Path(verdict))
    decision.metadata.update(verdict=made.verdict, candidate=made.candidate)


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def report_results(
    recipe: dsl.Input[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    decision: dsl.Input[dsl.Artifact],
    champion: dsl.Input[dsl.Model],
    teacher_bundle: dsl.Input[dsl.Model],
    student_bundle: dsl.Input[dsl.Model],
    hard_label_bundle: dsl.Input[dsl.Model],
    pseudo_label_bundle: dsl.Input[dsl.Model],
    run_id: str,
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    classification: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Write what a run came to, for people.

    Args:
        recipe: JSON of the whole recipe, as check_recipe wrote it.
        dataset: resolved data set.
        validation: result of validate_data.
        evaluation: JSON that evaluate_student wrote.
        decision: JSON that decide_promotion wrote.
        champion: folder of the champion that the student was compared with.
        teacher_bundle: artifact of the teacher: a model bundle, or the record of an imported one.
        student_bundle: model bundle of the student.
        hard_label_bundle: model bundle of the hard-label arm.
        pseudo_label_bundle: model bundle of the pseudo-label arm.
        run_id: identity of the pipeline run.
        report: one HTML page that needs no network.
        summary: verdict, gates and candidates on half a page.
        classification: confusion matrix and ROC curve of the student that was chosen.
    """
    from pathlib import Path

    from components.evaluation import steps

    shown = steps.report_results(
        recipe=Path(recipe.path),
        dataset=Path(dataset.path),
        validation=Path(validation.path),
        evaluation=Path(evaluation.path),
        decision=Path(decision.path),
        champion=Path(champion.path),
        bundles={
            "teacher": Path(teacher_bundle.path),
            "student": Path(student_bundle.path),
            "hard_label": Path(hard_label_bundle.path),
            "pseudo_label": Path(pseudo_label_bundle.path),
        },
        run_id=run_id,
        report=Path(report.path),
        summary=Path(summary.path),
    )
    classification.log_confusion_matrix(shown.classes, shown.confusion)
    if shown.thresholds:
        classification.log_roc_curve(
            shown.false_positive_rates, shown.true_positive_rates, shown.thresholds
        )


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def compare_challenger(
    model: str,
    rows: dsl.Input[dsl.Dataset],
    champion: dsl.Input[dsl.Model],
    challenger: dsl.Input[dsl.Model],
    margin: float,
    min_agreement: float,
    confidence: float,
    min_rows: int,
    latency: dict[str, Any],
    comparison: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    recommendation: dsl.OutputPath(str),
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Compare a challenger with the champion on rows that arrived since.

    Args:
        model: name of the registered model.
        rows: fresh rows, as collect_rows made them.
        champion: the version that serving reads, as fetch_version wrote it.
        challenger: the version that waits for approval, as fetch_version wrote it.
        margin: largest drop in accuracy that is tolerated, as a fraction of the rows.
        min_agreement: least share of the rows on which both must predict the same class, where
            labels are too few to judge.
        confidence: level of each bound.
        min_rows: fewer rows are not judged.
        latency: how latency is measured, as in a recipe's section `evaluation`.
        comparison: JSON of everything that was found.
        page: the same as one HTML page that needs no network.
        recommendation: `supports`, `against` or `inconclusive`.
        metrics: the main figures, for the KFP UI.
    """
    from pathlib import Path

    from components.evaluation import steps

    figures = steps.compare_challenger(
        model=model,
        rows=Path(rows.path),
        champion=Path(champion.path),
        challenger=Path(challenger.path),
        policy={
            "margin": margin,
            "min_agreement": min_agreement,
            "confidence": confidence,
            "min_rows": min_rows,
            "latency": latency,
        },
        comparison=Path(comparison.path),
        page=Path(page.path),
        recommendation=Path(recommendation),
    )
    for name, value in figures.items():
        metrics.log_metric(name, value)
