"""The distillation pipeline in KFP's DSL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.compression.component import compress_student
from components.data_validation.component import check_recipe, resolve_dataset, validate_data
from components.evaluation.component import decide_promotion, evaluate_student, report_results
from components.registration.component import fetch_champion, register_student
from components.shared.recipe import Recipe
from components.shared.recipe.graph import graph_of
from components.training.component import train_student
from pipelines.chaining import teach_through_assistants
from pipelines.task_settings import TaskSetting, apply_to_every_task
from pipelines.teaching import Parameters, label_by_workers, teach


class Outputs(NamedTuple):
    """What a run leaves behind; of its first attempt, where the champion moved and the student was
    judged again."""

    evaluation: dsl.Artifact
    decision: dsl.Artifact
    report: dsl.HTML
    summary: dsl.Markdown
    validation: dsl.Artifact
    registration: dsl.Artifact
    candidates: dsl.Model


def build_pipeline(recipe: Recipe, settings: Sequence[TaskSetting] = ()) -> GraphComponent:
    """The pipeline of a recipe, with the recipe's sections as defaults of its parameters.

    KFP's cache key has parameters, but neither bytes nor URIs of artifacts. So a cached step takes
    the digest of each artifact that it reads as a parameter, and checks it. Steps whose result
    depends on more than their inputs (the bytes behind a URI, the registry) are never cached.

    Args:
        recipe: the recipe.
        settings: how every task is run, beside what it computes.
    """
    sections = recipe.model_dump(mode="json", exclude_none=True)
    data_defaults = {key: value for key, value in sections["data"].items() if key != "uri"}
    # Made here, since KFP makes no pipeline inside another.
    workers = label_by_workers(recipe, settings)

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name=recipe.name, description=f"Distil, gate and promote {recipe.registry.model}"
    )
    def distillation(
        data_uri: str = recipe.data.uri,
        seed: int = recipe.seed,
        storage: str = recipe.storage,
        data: dict = data_defaults,  # type: ignore[type-arg]
        validation: dict = sections["validation"],  # type: ignore[type-arg]
        teacher: dict = sections["teacher"],  # type: ignore[type-arg]
        labelling: dict = sections["labelling"],  # type: ignore[type-arg]
        student: dict = sections["student"],  # type: ignore[type-arg]
        distillation: dict = sections["distillation"],  # type: ignore[type-arg]
        compression: dict = sections["compression"],  # type: ignore[type-arg]
        evaluation: dict = sections["evaluation"],  # type: ignore[type-arg]
        gates: dict = sections["gates"],  # type: ignore[type-arg]
        registry: dict = sections["registry"],  # type: ignore[type-arg]
        tracking_uri: str = "",
        git_commit: str = "",
    ) -> Outputs:
        checked = check_recipe(
            name=recipe.name,
            data_uri=data_uri,
            seed=seed,
            storage=storage,
            data=data,
            validation=validation,
            teacher=teacher,
            labelling=labelling,
            student=student,
            distillation=distillation,
            compression=compression,
            evaluation=evaluation,
            gates=gates,
            registry=registry,
            compiled=graph_of(recipe),
        )
        whole_recipe = checked.outputs["recipe"]
        resolved = resolve_dataset(uri=data_uri, data=data).after(checked)
        resolved.set_caching_options(False)
        validated = _validate(recipe, checked, resolved, validation, registry, tracking_uri)
        dataset, digest = validated.outputs["checked"], validated.outputs["checked_digest"]

        given = Parameters(
            dataset=dataset,
            dataset_digest=digest,
            teacher=teacher,
            labelling=labelling,
            storage=storage,
            seed=seed,
            tracking_uri=tracking_uri,
            label_by_workers=workers,
        )
        taught = teach(recipe, given)
        lessons = teach_through_assistants(recipe, taught, given, student, distillation)

        def train(arm: str, **size: Any) -> Any:
            # Baselines show what comes of the teacher's own labels.
            labels = lessons if arm == "student" else taught
            task = train_student(
                dataset=dataset,
                dataset_digest=digest,
                soft_labels=labels.soft_labels,
                soft_labels_digest=labels.soft_labels_digest,
                arm=arm,
                student=student,
                distillation=distillation,
                seed=seed,
                storage=storage,
                **(labels.online if recipe.distillation.runs_teacher_for(arm) else {}),
                **size,
            )
            task.set_display_name(f"train-{arm.replace('_', '-')}")
            return task.outputs

        searches = recipe.student.search is not None
        own = train("student", **({"gates": gates} if searches else {}))
        found = {"network_of": own["model"], "network_of_digest": own["digest"]} if searches else {}
        baselines = {arm: train(arm, **found) for arm in ("hard_label", "pseudo_label")}
        trained = {"student": own, **baselines}
        bundles = {"teacher": taught.teacher}
        digests = {"teacher_digest": taught.teacher_digest}
        for arm, outputs in trained.items():
            bundles[arm], digests[f"{arm}_digest"] = outputs["model"], outputs["digest"]
        compressed = compress_student(
            dataset=dataset,
            dataset_digest=digest,
            soft_labels=lessons.soft_labels,
            soft_labels_digest=lessons.soft_labels_digest,
            teacher_labels=taught.soft_labels,
            teacher_labels_digest=taught.soft_labels_digest,
            **bundles,
            **digests,
            student_spec=student,
            compression=compression,
            seed=seed,
        )
        described = {f"{arm}_bundle": bundle for arm, bundle in bundles.items()}

        def judge(last_attempt: bool) -> tuple[Outputs, Any]:
            """Measure the student against the champion of this moment, and act on the verdict."""
            champion = fetch_champion(registry=registry, tracking_uri=tracking_uri).after(
                compressed
            )
            evaluated = evaluate_student(
                dataset=dataset,
                candidates=compressed.outputs["candidates"],
                teacher=compressed.outputs["teacher_onnx"],
                hard_label=compressed.outputs["hard_label_onnx"],
                pseudo_label=compressed.outputs["pseudo_label_onnx"],
                champion=champion.outputs["champion"],
                evaluation_spec=evaluation,
                student_bundle=bundles["student"],
                validation=validated.outputs["result"],
            )
            measurements = evaluated.outputs["evaluation"]
            decided = decide_promotion(evaluation=measurements, gates=gates)
            reported = report_results(
                recipe=whole_recipe,
                dataset=dataset,
                validation=validated.outputs["result"],
                evaluation=measurements,
                decision=decided.outputs["decision"],
                champion=champion.outputs["champion"],
                **described,
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            registered = register_student(
                recipe=whole_recipe,
                dataset=dataset,
                validation=validated.outputs["result"],
                decision=decided.outputs["decision"],
                evaluation=measurements,
                report=reported.outputs["report"],
                candidates=compressed.outputs["candidates"],
                **described,
                tracking_uri=tracking_uri,
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                git_commit=git_commit,
                last_attempt=last_attempt,
            )
            for task in (champion, evaluated, decided, reported, registered):
                task.set_caching_options(False)
            outputs = Outputs(
                evaluation=measurements,
                decision=decided.outputs["decision"],
                report=reported.outputs["report"],
                summary=reported.outputs["summary"],
                validation=validated.outputs["result"],
                registration=registered.outputs["registration"],
                candidates=compressed.outputs["candidates"],
            )
            return outputs, registered.outputs["Output"]

        outputs, outcome = judge(last_attempt=False)
        # Another student may have been promoted meanwhile: then it is measured against that one.
        with dsl.If(outcome == "champion_moved", name="champion-moved"):
            judge(last_attempt=True)
        apply_to_every_task(settings)
        return outputs

    whole: GraphComponent = distillation
    return whole


def _validate(
    recipe: Recipe, checked: Any, resolved: Any, validation: Any, registry: Any, tracking: Any
) -> Any:
    """Check the data; against those of the present champion too, where drift is to be judged."""
    inputs = {"dataset": resolved.outputs["dataset"], "digest": resolved.outputs["digest"]}
    if recipe.validation.drift is None:
        return validate_data(**inputs, validation=validation)
    champion = fetch_champion(registry=registry, tracking_uri=tracking).after(checked)
    task = validate_data(**inputs, validation=validation, champion=champion.outputs["champion"])
    for state in (champion, task):  # the champion may be another one at any time
        state.set_caching_options(False)
    return task
