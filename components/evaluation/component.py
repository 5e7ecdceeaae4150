"""KFP interface of the evaluation steps."""

from typing import Any

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def evaluate_student(
    dataset: dsl.Input[dsl.Dataset],
    student: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    hard_label: dsl.Input[dsl.Model],
    pseudo_label: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Artifact],
    champion_version: str,
    evaluation_spec: dict[str, Any],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Measure all arms and the champion on the same test rows, from their ONNX files.

    Args:
        dataset: resolved data set.
        student: deployable student.
        teacher: deployable teacher.
        hard_label: deployable student that was trained on the labels alone.
        pseudo_label: deployable student that was trained on the teacher's classes.
        champion: deployable folder of the present champion; not read where there is none.
        champion_version: the champion's version in the registry; empty where there is none.
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
            "student": Path(student.path),
            "hard_label": Path(hard_label.path),
            "pseudo_label": Path(pseudo_label.path),
        },
        champion=Path(champion.path),
        champion_version=champion_version,
        evaluation_spec=evaluation_spec,
        output=Path(evaluation.path),
    )
    for name, value in figures.items():
        metrics.log_metric(name, value)


@dsl.component(base_image=images.EVALUATION, install_kfp_package=False)
def decide_promotion(
    evaluation: dsl.Input[dsl.Artifact],
    gates: dict[str, Any],
    teacher_bundle: dsl.Input[dsl.Model],
    student_bundle: dsl.Input[dsl.Model],
    hard_label_bundle: dsl.Input[dsl.Model],
    pseudo_label_bundle: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    recipe_name: str,
    seed: int,
    run_id: str,
    registry: dict[str, Any],
    decision: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    verdict: dsl.OutputPath(str),
) -> None:
    """Judge the evaluation by the gates, and write the report.

    Args:
        evaluation: JSON that evaluate_student wrote.
        gates: the recipe's section `gates`.
        teacher_bundle: model bundle of the teacher, for the report.
        student_bundle: model bundle of the student, for the report.
        hard_label_bundle: model bundle of the hard-label arm, for the report.
        pseudo_label_bundle: model bundle of the pseudo-label arm, for the report.
        dataset: resolved data set, for the report.
        recipe_name: name of the recipe.
        seed: seed of the run.
        run_id: identity of the pipeline run.
        registry: the recipe's section `registry`.
        decision: JSON of the verdict and every check behind it.
        report: one HTML page that needs no network.
        verdict: `promote` or `reject`.
    """
    from pathlib import Path

    from components.evaluation import steps

    steps.decide_promotion(
        evaluation=Path(evaluation.path),
        gates=gates,
        bundles={
            "teacher": Path(teacher_bundle.path),
            "student": Path(student_bundle.path),
            "hard_label": Path(hard_label_bundle.path),
            "pseudo_label": Path(pseudo_label_bundle.path),
        },
        dataset=Path(dataset.path),
        recipe_name=recipe_name,
        seed=seed,
        run_id=run_id,
        registry=registry,
        decision=Path(decision.path),
        report=Path(report.path),
        verdict=Path(verdict),
    )
