"""KFP interface of the registration steps."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def fetch_champion(
    registry: dict,
    tracking_uri: str,
    champion: dsl.Output[dsl.Model],
):
    """Fetch the model that serving reads now, so that the student can be compared with it.

    Args:
        registry: the recipe's section `registry`.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        champion: `champion.json`, which says what is known of the champion, and its deployable
            files (`model.onnx`, `deployable.json`) where there is one.
    """
    from pathlib import Path

    from components.registration import steps

    found = steps.fetch_champion(registry, tracking_uri, Path(champion.path))
    champion.metadata.update(version=found.version or "", state=found.state)


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def register_student(
    recipe: dsl.Input[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset],
    decision: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    candidates: dsl.Input[dsl.Model],
    teacher_bundle: dsl.Input[dsl.Model],
    student_bundle: dsl.Input[dsl.Model],
    hard_label_bundle: dsl.Input[dsl.Model],
    pseudo_label_bundle: dsl.Input[dsl.Model],
    tracking_uri: str,
    run_id: str,
    registration: dsl.Output[dsl.Artifact],
):
    """Record the run in MLflow; on a promotion, register the student and make it the champion.

    A rejection is recorded in the same way and changes nothing in the registry. A retry with the
    same run id continues where the attempt before ended.

    Args:
        recipe: JSON of the whole recipe, as check_recipe wrote it; names the registry.
        dataset: resolved data set, for the input example of the registered model.
        decision: verdict of the gates.
        evaluation: what was measured.
        report: the report of the evaluation.
        candidates: the deployable forms of the student; the decision names the one to register.
        teacher_bundle: model bundle of the teacher.
        student_bundle: model bundle of the student.
        hard_label_bundle: model bundle of the hard-label arm.
        pseudo_label_bundle: model bundle of the pseudo-label arm.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        run_id: identity of the pipeline run, the same at every retry.
        registration: JSON with verdict, MLflow run, model, version and alias.
    """
    from pathlib import Path

    from components.registration import steps

    record = steps.register_student(
        steps.Inputs(
            recipe=Path(recipe.path),
            dataset=Path(dataset.path),
            decision=Path(decision.path),
            evaluation=Path(evaluation.path),
            report=Path(report.path),
            candidates=Path(candidates.path),
            bundles={
                "teacher": Path(teacher_bundle.path),
                "student": Path(student_bundle.path),
                "hard_label": Path(hard_label_bundle.path),
                "pseudo_label": Path(pseudo_label_bundle.path),
            },
        ),
        tracking_uri,
        run_id,
        Path(registration.path),
    )
    registration.metadata.update(verdict=record.verdict, mlflow_run_id=record.mlflow_run_id)
