"""The distillation pipeline in KFP's DSL."""

from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.compression.component import compress_student
from components.data_validation.component import check_recipe, resolve_dataset, validate_data
from components.evaluation.component import decide_promotion, evaluate_student, report_results
from components.registration.component import fetch_champion, register_student
from components.shared.recipe import Recipe
from components.soft_labels.component import generate_soft_labels
from components.training.component import train_student, train_teacher


class Outputs(NamedTuple):
    """What a run leaves behind."""

    evaluation: dsl.Artifact
    decision: dsl.Artifact
    report: dsl.HTML
    summary: dsl.Markdown
    registration: dsl.Artifact
    candidates: dsl.Model


def build_pipeline(recipe: Recipe) -> BaseComponent:
    """The pipeline of a recipe, with the recipe's sections as defaults of its parameters.

    KFP's cache key has parameters, but neither bytes nor URIs of artifacts. So a cached step takes
    the digest of each artifact that it reads as a parameter, and checks it. Steps whose result
    depends on more than their inputs (the bytes behind a URI, the registry) are never cached.
    """
    sections = recipe.model_dump(mode="json", exclude_none=True)
    data_defaults = {key: value for key, value in sections["data"].items() if key != "uri"}

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name=recipe.name, description=f"Distil, gate and promote {recipe.registry.model}"
    )
    def distillation(
        data_uri: str = recipe.data.uri,
        seed: int = recipe.seed,
        data: dict = data_defaults,  # type: ignore[type-arg]
        validation: dict = sections["validation"],  # type: ignore[type-arg]
        teacher: dict = sections["teacher"],  # type: ignore[type-arg]
        student: dict = sections["student"],  # type: ignore[type-arg]
        distillation: dict = sections["distillation"],  # type: ignore[type-arg]
        compression: dict = sections["compression"],  # type: ignore[type-arg]
        evaluation: dict = sections["evaluation"],  # type: ignore[type-arg]
        gates: dict = sections["gates"],  # type: ignore[type-arg]
        registry: dict = sections["registry"],  # type: ignore[type-arg]
        tracking_uri: str = "",
    ) -> Outputs:
        checked = check_recipe(
            name=recipe.name,
            data_uri=data_uri,
            seed=seed,
            data=data,
            validation=validation,
            teacher=teacher,
            student=student,
            distillation=distillation,
            compression=compression,
            evaluation=evaluation,
            gates=gates,
            registry=registry,
            compiled_teacher_source=recipe.teacher.source,
        )
        whole_recipe = checked.outputs["recipe"]
        resolved = resolve_dataset(uri=data_uri, data=data).after(checked)
        resolved.set_caching_options(False)
        dataset, digest = resolved.outputs["dataset"], resolved.outputs["digest"]
        validated = validate_data(dataset=dataset, digest=digest, validation=validation)

        trained_teacher = train_teacher(
            dataset=dataset, dataset_digest=digest, teacher=teacher, seed=seed
        ).after(validated)
        if recipe.teacher.source == "bundle":  # bytes behind a URI
            trained_teacher.set_caching_options(False)
        labels = generate_soft_labels(
            dataset=dataset,
            dataset_digest=digest,
            teacher=trained_teacher.outputs["model"],
            teacher_digest=trained_teacher.outputs["digest"],
        )

        def train(arm: str) -> Any:
            task = train_student(
                dataset=dataset,
                dataset_digest=digest,
                soft_labels=labels.outputs["soft_labels"],
                soft_labels_digest=labels.outputs["digest"],
                arm=arm,
                student=student,
                distillation=distillation,
                seed=seed,
            )
            task.set_display_name(f"train-{arm.replace('_', '-')}")
            return task.outputs

        trained = {
            "teacher": trained_teacher.outputs,
            "student": train("student"),
            "hard_label": train("hard_label"),
            "pseudo_label": train("pseudo_label"),
        }
        bundles = {arm: outputs["model"] for arm, outputs in trained.items()}
        compressed = compress_student(
            dataset=dataset,
            dataset_digest=digest,
            soft_labels=labels.outputs["soft_labels"],
            soft_labels_digest=labels.outputs["digest"],
            **bundles,
            **{f"{arm}_digest": outputs["digest"] for arm, outputs in trained.items()},
            student_spec=student,
            compression=compression,
            seed=seed,
        )
        champion = fetch_champion(registry=registry, tracking_uri=tracking_uri).after(compressed)
        champion.set_caching_options(False)

        evaluated = evaluate_student(
            dataset=dataset,
            candidates=compressed.outputs["candidates"],
            teacher=compressed.outputs["teacher_onnx"],
            hard_label=compressed.outputs["hard_label_onnx"],
            pseudo_label=compressed.outputs["pseudo_label_onnx"],
            champion=champion.outputs["champion"],
            evaluation_spec=evaluation,
        )
        evaluated.set_caching_options(False)
        decided = decide_promotion(evaluation=evaluated.outputs["evaluation"], gates=gates)
        decided.set_caching_options(False)
        described = {f"{arm}_bundle": bundle for arm, bundle in bundles.items()}
        reported = report_results(
            recipe=whole_recipe,
            dataset=dataset,
            evaluation=evaluated.outputs["evaluation"],
            decision=decided.outputs["decision"],
            champion=champion.outputs["champion"],
            **described,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        reported.set_caching_options(False)
        registered = register_student(
            recipe=whole_recipe,
            dataset=dataset,
            decision=decided.outputs["decision"],
            evaluation=evaluated.outputs["evaluation"],
            report=reported.outputs["report"],
            candidates=compressed.outputs["candidates"],
            **described,
            tracking_uri=tracking_uri,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        registered.set_caching_options(False)
        return Outputs(
            evaluation=evaluated.outputs["evaluation"],
            decision=decided.outputs["decision"],
            report=reported.outputs["report"],
            summary=reported.outputs["summary"],
            registration=registered.outputs["registration"],
            candidates=compressed.outputs["candidates"],
        )

    return distillation
