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
) -> None:
    """Measure all forms of the student, the other arms and the champion on the same test rows.

    Args:
        dataset: resolved data set.
        candidates: the deployable forms of the student, as compress_student made them.
        teacher: deployable teacher.
        hard_label: deployable student that was trained on the labels alone.
        pseudo_label: deployable student that was trained on the teacher's classes.
        champion: folder of the present champion, as fetch_champion wrote it.
        evaluation_spec: the recipe's section `evaluation`.
        evaluation: JSON of every measurement, with confidence intervals.
        metrics: the main figures, for the KFP UI.
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
        evaluation: JSON that evaluate_student wrote.
        decision: JSON that decide_promotion wrote.
        champion: folder of the champion that the student was compared with.
        teacher_bundle: model bundle of the teacher.
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
