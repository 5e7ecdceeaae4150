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
            files (`model.onnx`, `deployable.json`) and data profile where there is one.
    """
    from pathlib import Path

    from components.registration import steps

    found = steps.fetch_champion(registry, tracking_uri, Path(champion.path))
    champion.metadata.update(version=found.version or "", state=found.state)


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def register_student(
    recipe: dsl.Input[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Artifact],
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
    git_commit: str = "",
    last_attempt: bool = True,
) -> str:
    """Record the run in MLflow; a student that passed is registered, and promoted or set waiting.

    A rejection is recorded in the same way and moves nothing in the registry; there, tags of the
    registered model keep up to which move each webhook, and the pod's namespace, was told. A retry
    with the same run id continues where the attempt before ended. Returns the outcome: `promoted`,
    `challenger` (it waits for approval), `rejected`, `champion_moved` or `dry_run`.

    Args:
        recipe: JSON of the whole recipe, as check_recipe wrote it; names the registry.
        dataset: resolved data set, for the input example of the registered model.
        validation: result of validate_data, whose data profile is kept with the version.
        decision: verdict of the gates.
        evaluation: what was measured.
        report: the report of the evaluation.
        candidates: the deployable forms of the student; the decision names the one to register.
        teacher_bundle: artifact of the teacher: a model bundle, or the record of an imported one.
        student_bundle: model bundle of the student.
        hard_label_bundle: model bundle of the hard-label arm.
        pseudo_label_bundle: model bundle of the pseudo-label arm.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        run_id: identity of the pipeline run, the same at every retry.
        registration: JSON with verdict, outcome, MLflow run, model, version and alias.
        git_commit: the commit that the recipe is from; empty where it is not known.
        last_attempt: fail where another student became champion since the evaluation; otherwise
            the outcome is `champion_moved`, and the student can be evaluated again.
    """
    from pathlib import Path

    from components.registration import steps

    record = steps.register_student(
        steps.Inputs(
            recipe=Path(recipe.path),
            dataset=Path(dataset.path),
            validation=Path(validation.path),
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
        git_commit=git_commit,
        last_attempt=last_attempt,
    )
    registration.metadata.update(outcome=record.outcome, mlflow_run_id=record.mlflow_run_id)
    return record.outcome


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def fetch_version(
    model: str,
    version: str,
    tracking_uri: str,
    fetched: dsl.Output[dsl.Model],
):
    """Fetch a registered version, so that it can be compared with another one on fresh rows.

    Args:
        model: name of the registered model.
        version: its number, or an alias such as `champion`.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        fetched: its deployable files (`model.onnx`, `deployable.json`) and `champion.json`, which
            says what is known of it. Never cache this step.
    """
    from pathlib import Path

    from components.registration import shadow_steps

    record = shadow_steps.fetch_version(model, version, tracking_uri, Path(fetched.path))
    fetched.metadata.update(version=record.version)


@dsl.component(base_image=images.REGISTRATION, install_kfp_package=False)
def attach_comparison(
    comparison: dsl.Input[dsl.Artifact],
    page: dsl.Input[dsl.HTML],
    tracking_uri: str,
):
    """Keep a comparison with the challenger: in its MLflow run, and in a tag of its version.

    Args:
        comparison: JSON that compare_challenger wrote.
        page: the same as HTML.
        tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
    """
    from pathlib import Path

    from components.registration import shadow_steps

    shadow_steps.attach_comparison(Path(comparison.path), Path(page.path), tracking_uri)
