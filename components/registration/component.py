"""KFP interface of the registration steps."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def fetch_champion(
    registry: dict,
    tracking_uri: str,
    champion: dsl.Output[dsl.Model],
    version: dsl.OutputPath(str),
):
    """Fetch the model that serving reads now, so that the student can be compared with it.

    Args:
        registry: the recipe's section `registry`.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        champion: deployable champion (`model.onnx`, `deployable.json`); neither file where there
            is none.
        version: its version in the registry; empty where there is none.
    """
    from pathlib import Path

    from components.registration import steps

    found = steps.fetch_champion(registry, tracking_uri, Path(champion.path))
    output = Path(version)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(found)


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def register_student(
    dataset: dsl.Input[dsl.Dataset],
    decision: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    student: dsl.Input[dsl.Model],
    teacher_bundle: dsl.Input[dsl.Model],
    student_bundle: dsl.Input[dsl.Model],
    hard_label_bundle: dsl.Input[dsl.Model],
    pseudo_label_bundle: dsl.Input[dsl.Model],
    recipe_name: str,
    data_uri: str,
    seed: int,
    data: dict,
    validation: dict,
    teacher: dict,
    student_spec: dict,
    distillation: dict,
    evaluation_spec: dict,
    gates: dict,
    registry: dict,
    tracking_uri: str,
    run_id: str,
    registration: dsl.Output[dsl.Artifact],
):
    """Record the run in MLflow; on a promotion, register the student and make it the champion.

    A rejection is recorded in the same way and changes nothing in the registry. A retry with the
    same run id continues where the attempt before ended.

    Args:
        dataset: resolved data set, for the input example of the registered model.
        decision: verdict of the gates.
        evaluation: what was measured.
        report: the report of the evaluation.
        student: deployable student, the file that was measured.
        teacher_bundle: model bundle of the teacher.
        student_bundle: model bundle of the student.
        hard_label_bundle: model bundle of the hard-label arm.
        pseudo_label_bundle: model bundle of the pseudo-label arm.
        recipe_name: name of the recipe.
        data_uri: where the data were read from.
        seed: seed of the run.
        data: the recipe's section `data`, without the URI.
        validation: the recipe's section `validation`.
        teacher: the recipe's section `teacher`.
        student_spec: the recipe's section `student`.
        distillation: the recipe's section `distillation`.
        evaluation_spec: the recipe's section `evaluation`.
        gates: the recipe's section `gates`.
        registry: the recipe's section `registry`.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        run_id: identity of the pipeline run, the same at every retry.
        registration: JSON with verdict, MLflow run, model, version and alias.
    """
    from pathlib import Path

    from components.registration import steps

    record = steps.register_student(
        steps.Inputs(
            dataset=Path(dataset.path),
            decision=Path(decision.path),
            evaluation=Path(evaluation.path),
            report=Path(report.path),
            student=Path(student.path),
            bundles={
                "teacher": Path(teacher_bundle.path),
                "student": Path(student_bundle.path),
                "hard_label": Path(hard_label_bundle.path),
                "pseudo_label": Path(pseudo_label_bundle.path),
            },
        ),
        {
            "name": recipe_name,
            "seed": seed,
            "data": {"uri": data_uri, **data},
            "validation": validation,
            "teacher": teacher,
            "student": student_spec,
            "distillation": distillation,
            "evaluation": evaluation_spec,
            "gates": gates,
            "registry": registry,
        },
        registry,
        tracking_uri,
        run_id,
        Path(registration.path),
    )
    registration.metadata.update(verdict=record.verdict, mlflow_run_id=record.mlflow_run_id)
