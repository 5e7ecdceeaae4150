"""Compiling: a recipe to pipeline YAML, and every component to its own YAML."""

import ast
import json
import re
import tempfile
from pathlib import Path

from kfp.compiler import Compiler
from kfp.dsl.base_component import BaseComponent

from components.compression import component as compression
from components.data_validation import component as data_validation
from components.evaluation import component as evaluation
from components.registration import component as registration
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.recipe import Recipe, load_recipe, recipe_schema
from components.soft_labels import component as soft_labels
from components.training import component as training
from pipelines.pipeline import build_pipeline

_DEFAULT_IN_COMMENT = re.compile(r"^(#.*\[Default: )(\{.*\})(\])$", re.MULTILINE)
"""KFP's comment shows mappings in protobuf's order, which changes from process to process."""

STEP_MODULES = (data_validation, soft_labels, training, compression, evaluation, registration)


def compile_recipe(recipe: Recipe) -> str:
    """The pipeline of a recipe as YAML; the same bytes every time."""
    return _compile(build_pipeline(recipe))


def refuse_relative_paths(recipe: Recipe) -> None:
    """Refuse a recipe whose paths would mean nothing in a pod.

    Raises:
        UserError: ``data.uri`` or ``teacher.uri`` is a relative path.
    """
    uris = {"data.uri": recipe.data.uri}
    if recipe.teacher.source == "bundle":
        uris["teacher.uri"] = recipe.teacher.uri
    for name, uri in uris.items():
        if "://" not in uri and not Path(uri).is_absolute():
            raise UserError(
                f"{name} is the relative path {uri}, which means nothing where the pipeline will "
                "run; give the path at which its pods mount it"
            )


def compile_components() -> dict[Path, str]:
    """YAML of every component, by the path in the repository where it is kept."""
    return {
        Path(module.__name__.replace(".", "/")).parent / f"{name}.yaml": _compile(value)
        for module in STEP_MODULES
        for name, value in vars(module).items()
        if isinstance(value, BaseComponent)
    }


def generated_files(root: Path) -> dict[Path, str]:
    """Everything in the repository that is generated, with what it should contain."""
    recipes = root / "pipelines" / "recipes"
    return {
        recipes / "recipe.schema.json": recipe_schema(),
        root / "pipelines" / "compiled" / "digits.yaml": compile_recipe(
            load_recipe(recipes / "digits.yaml")
        ),
        **{root / path: text for path, text in compile_components().items()},
    }


def _compile(component: BaseComponent) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compiled.yaml"
        Compiler().compile(component, str(path))
        return _DEFAULT_IN_COMMENT.sub(_sort_keys, path.read_text(encoding="utf-8"))


def _sort_keys(match: re.Match[str]) -> str:
    return match[1] + json.dumps(ast.literal_eval(match[2]), sort_keys=True) + match[3]


if __name__ == "__main__":
    for path, text in generated_files(Path(__file__).parents[1]).items():
        write_atomically(path, text)
