"""Compiled pipelines, and who makes what in them."""

import yaml

from components.shared.recipe import Recipe
from pipelines.compiling import compile_recipe


def pipeline(recipe: Recipe) -> dict:
    return next(yaml.safe_load_all(compile_recipe(recipe)))


def source(given: dict) -> str:
    """Where an input of a task is from: a task, or what the pipeline around it was given."""
    for kind in ("taskOutputParameter", "taskOutputArtifact"):
        if kind in given:
            return given[kind]["producerTask"]
    name = given.get("componentInputParameter") or given["componentInputArtifact"]
    return str(name).removesuffix("_digest").removesuffix("-digest")


def with_several_teachers(recipe: Recipe) -> Recipe:
    """Every way to bring in a teacher, three workers for each, and data judged by drift."""
    document = recipe.model_dump(mode="json", exclude_none=True)
    members = [
        document["teacher"],
        {"source": "bundle", "uri": "/teachers/bundle"},
        {"source": "onnx", "uri": "s3://teachers/model.onnx"},
        {"source": "endpoint", "url": "http://models", "model": "digits"},
        {"source": "mlflow", "uri": "models:/digits/1", "allow_code": True},
    ]
    document["teacher"] = {
        "source": "ensemble",
        "members": [{"teacher": teacher} for teacher in members],
    }
    document["labelling"]["workers"] = 3
    document["storage"] = "s3://labels"
    document["validation"]["drift"] = {}
    return Recipe.model_validate(document)
