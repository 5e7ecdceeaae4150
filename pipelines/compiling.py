"""Compiling: a recipe to pipeline YAML, and every component to its own YAML."""

import ast
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kfp.compiler import Compiler
from kfp.dsl.base_component import BaseComponent

from components.compression import component as compression
from components.data_validation import component as data_validation
from components.evaluation import component as evaluation
from components.registration import component as registration
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import BundleTeacher, Recipe, load_recipe, recipe_schema
from components.shared.recipe.inputs import files_of
from components.shared.recipe.teacher import OnnxTeacher, shares
from components.soft_labels import component as soft_labels
from components.training import component as training
from pipelines.cluster import settings
from pipelines.cluster.manifests import to_manifests
from pipelines.cluster.train_job import with_train_jobs_deleted
from pipelines.outside_models import model_folders
from pipelines.pipeline import build_pipeline
from pipelines.shadow import build_shadow
from pipelines.task_settings import steps_of

_DEFAULT_IN_COMMENT = re.compile(r"^(#.*\[Default: )(\{.*\})(\])$", re.MULTILINE)
"""KFP's comment shows mappings in protobuf's order, which changes from process to process."""

_COMPILED = ("digits", "cluster", "nodes")
"""Recipes of which the repository has the pipelines."""
STEP_MODULES = (data_validation, soft_labels, training, compression, evaluation, registration)


def compile_recipe(
    recipe: Recipe, *, for_cluster: bool = True, images: Mapping[str, str] | None = None
) -> str:
    """The pipeline of a recipe as YAML; the same bytes every time.

    Args:
        recipe: the recipe.
        for_cluster: set what a cluster needs to know of each task: retries, the recipe's
            ``resources``, the environment of steps. Without, for a run on this machine.
        images: references that stand for our images, by the last part of their names, as from
            :func:`pipelines.image_references.load`. By default they are named by tag.

    Raises:
        UserError: the references lack an image that the pipeline uses, or ``resources`` has a step
            that the pipeline does not have.
    """
    return as_yaml(_pipeline(recipe, for_cluster, images))


def compile_manifests(recipe: Recipe, *, images: Mapping[str, str] | None = None) -> str:
    """The pipeline of a recipe as objects of a Kubernetes API, for GitOps; the same bytes every
    time.

    Args:
        recipe: the recipe.
        images: as for :func:`compile_recipe`.

    Raises:
        UserError: as for :func:`compile_recipe`.
    """
    return to_manifests(_pipeline(recipe, True, images))


def compile_shadow(*, for_cluster: bool = True, images: Mapping[str, str] | None = None) -> str:
    """The pipeline that compares a challenger with the champion, as YAML.

    Args:
        for_cluster: set what every task needs in a cluster.
        images: as for :func:`compile_recipe`.

    Raises:
        UserError: the references lack an image that the pipeline uses.
    """
    pinning = settings.pinning(images)
    return as_yaml(build_shadow(settings.of_shadow(images) if for_cluster else pinning))


def refuse_relative_paths(recipe: Recipe) -> None:
    """Refuse a recipe whose paths would mean nothing in a pod.

    Raises:
        UserError: ``data.uri``, ``storage``, the ``uri`` of a tokenizer or teacher, or the
            ``folder`` of a model is a relative path.
    """
    uris = [("data.uri", recipe.data.uri)]
    if recipe.storage:
        uris.append(("storage", recipe.storage))
    uris += [("data.input.tokenizer.uri", uri) for uri in files_of(recipe.data.input)]
    for _, teacher in shares(recipe.teacher):
        if isinstance(teacher, BundleTeacher | OnnxTeacher):
            uris.append(("teacher.uri", teacher.uri))
    uris += [("model.folder", folder) for folder in model_folders(recipe)]
    for name, uri in uris:
        if "://" not in uri and not Path(uri).is_absolute():
            raise UserError(
                f"{name} is the relative path {uri}, which means nothing where the pipeline will "
                "run; give the path at which its pods mount it"
            )


def compile_components() -> dict[Path, str]:
    """YAML of every component, by the path in the repository where it is kept."""
    return {
        Path(module.__name__.replace(".", "/")).parent / f"{name}.yaml": as_yaml(value)
        for module in STEP_MODULES
        for name, value in vars(module).items()
        if isinstance(value, BaseComponent)
    }


def generated_files(root: Path) -> dict[Path, str]:
    """Everything in the repository that is generated, with what it should contain."""
    recipes, compiled = root / "pipelines" / "recipes", root / "pipelines" / "compiled"
    loaded = {name: load_recipe(recipes / f"{name}.yaml") for name in _COMPILED}
    return {
        recipes / "recipe.schema.json": recipe_schema(),
        **{compiled / f"{name}.yaml": compile_recipe(recipe) for name, recipe in loaded.items()},
        compiled / "digits.kubernetes.yaml": compile_manifests(loaded["digits"]),
        compiled / "shadow.yaml": compile_shadow(),
        **{root / path: text for path, text in compile_components().items()},
    }


def steps_of_recipe(recipe: Recipe) -> set[str]:
    """The steps that a recipe's pipeline has in a cluster, such as ``train_student``.

    Args:
        recipe: the recipe.

    Raises:
        UserError: ``resources`` has a step that the pipeline does not have.
    """
    return steps_of(_pipeline(recipe, True, None))


def _pipeline(recipe: Recipe, for_cluster: bool, images: Mapping[str, str] | None) -> BaseComponent:
    if not for_cluster:
        return build_pipeline(recipe, settings.pinning(images))
    chosen = settings.of_recipe(recipe, images)
    pipeline = build_pipeline(recipe, chosen)
    if recipe.resources.training.nodes > 1:
        pipeline = with_train_jobs_deleted(pipeline, chosen)
    settings.refuse_absent_steps(recipe.resources, steps_of(pipeline))
    return pipeline


def as_yaml(component: BaseComponent) -> str:
    """A component or a pipeline as YAML; the same bytes every time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compiled.yaml"
        Compiler().compile(component, str(path))
        return _DEFAULT_IN_COMMENT.sub(_sort_keys, path.read_text(encoding="utf-8"))


def _sort_keys(match: re.Match[str]) -> str:
    return match[1] + json.dumps(ast.literal_eval(match[2]), sort_keys=True) + match[3]


if __name__ == "__main__":
    for path, text in generated_files(Path(__file__).parents[1]).items():
        write_atomically(path, text)
