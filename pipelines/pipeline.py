"""The distillation pipeline in KFP's DSL."""

from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.compression.component import compress_student
from components.data_validation.component import resolve_dataset, validate_data
from components.evaluation.component import decide_promotion, evaluate_student
from components.registration.component import fetch_champion, register_student
from components.shared.recipe import Recipe
from components.soft_labels.component import generate_soft_labels
from components.training.component import train_student, train_teacher


class Outputs(NamedTuple):
    """What a run leaves behind."""

    evaluation: dsl.Artifact
    decision: dsl.Artifact
    report: dsl.HTML
    registration: dsl.Artifact
    student: dsl.Model


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
        evaluation: dict = sections["evaluation"],  # type: ignore[type-arg]
        gates: dict = sections["gates"],  # type: ignore[type-arg]
        registry: dict = sections["registry"],  # type: ignore[type-arg]
        tracking_uri: str = "",
    ) -> Outputs:
        resolved = resolve_dataset(uri=data_uri, data=data)
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
            **bundles,
            **{f"{arm}_digest": outputs["digest"] for arm, outputs in trained.items()},
        )
        champion = fetch_champion(registry=registry, tracking_uri=tracking_uri).after(compressed)
        champion.set_caching_options(False)

        evaluated = evaluate_student(
            dataset=dataset,
            **{arm: compressed.outputs[f"{arm}_onnx"] for arm in bundles},
            champion=champion.outputs["champion"],
            champion_version=champion.outputs["version"],
            evaluation_spec=evaluation,
        )
        evaluated.set_caching_options(False)
        decided = decide_promotion(
            evaluation=evaluated.outputs["evaluation"],
            gates=gates,
            dataset=dataset,
            **{f"{arm}_bundle": bundle for arm, bundle in bundles.items()},
            recipe_name=recipe.name,
            seed=seed,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            registry=registry,
        )
        decided.set_caching_options(False)
        registered = register_student(
            decision=decided.outputs["decision"],
            evaluation=evaluated.outputs["evaluation"],
            report=decided.outputs["report"],
            dataset=dataset,
            student=compressed.outputs["student_onnx"],
            **{f"{arm}_bundle": bundle for arm, bundle in bundles.items()},
            recipe_name=recipe.name,
            data_uri=data_uri,
            seed=seed,
            data=data,
            validation=validation,
            teacher=teacher,
            student_spec=student,
            distillation=distillation,
            evaluation_spec=evaluation,
            gates=gates,
            registry=registry,
            tracking_uri=tracking_uri,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        registered.set_caching_options(False)
        return Outputs(
            evaluation=evaluated.outputs["evaluation"],
            decision=decided.outputs["decision"],
            report=decided.outputs["report"],
            registration=registered.outputs["registration"],
            student=compressed.outputs["student_onnx"],
        )

    return distillation
