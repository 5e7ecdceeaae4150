from pathlib import Path

import pytest
import yaml
from kfp.components import load_component_from_file

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from pipelines.compiling import compile_recipe, generated_files, refuse_relative_paths

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", generated_files(ROOT), ids=lambda path: path.name)
def test_generated_file_in_the_repository_is_up_to_date(path: Path) -> None:
    assert path.read_text() == generated_files(ROOT)[path], "run `make compile`"


def test_every_component_has_its_own_file_that_kfp_loads() -> None:
    names = set()
    for path in ROOT.glob("components/*/*.yaml"):
        component = load_component_from_file(str(path))
        names.add(component.name)
        assert component.description, f"{path} has no description"
    assert names == {
        "check-recipe",
        "resolve-dataset",
        "validate-data",
        "train-teacher",
        "generate-soft-labels",
        "train-student",
        "compress-student",
        "fetch-champion",
        "evaluate-student",
        "decide-promotion",
        "report-results",
        "register-student",
    }


def pipeline(recipe: Recipe) -> dict:
    return next(yaml.safe_load_all(compile_recipe(recipe)))


def test_nothing_is_installed_when_a_step_starts(digits_recipe: Recipe) -> None:
    assert "pip install" not in compile_recipe(digits_recipe)


def test_run_time_knobs_are_parameters_with_the_recipes_values(digits_recipe: Recipe) -> None:
    parameters = pipeline(digits_recipe)["root"]["inputDefinitions"]["parameters"]
    assert parameters["data_uri"]["defaultValue"] == "builtin://digits"
    assert parameters["seed"]["defaultValue"] == 0
    assert parameters["gates"]["defaultValue"]["accuracy"] == {"min": 0.9}
    assert parameters["student"]["defaultValue"]["training"]["steps"] == [400, 1600]


def test_steps_that_read_or_change_the_outside_world_are_not_cached(digits_recipe: Recipe) -> None:
    tasks = pipeline(digits_recipe)["root"]["dag"]["tasks"]
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == {
        "check-recipe",
        "validate-data",
        "train-teacher",
        "generate-soft-labels",
        "train-student",
        "train-student-2",
        "train-student-3",
        "compress-student",
    }


def test_cached_step_has_the_digest_of_each_artifact_in_its_cache_key(
    digits_recipe: Recipe,
) -> None:
    """KFP's key knows parameters, but not which artifact of a name it was."""
    for name, task in pipeline(digits_recipe)["root"]["dag"]["tasks"].items():
        if not task["cachingOptions"].get("enableCache"):
            continue
        inputs = task["inputs"]
        digests = {
            (value["taskOutputParameter"]["producerTask"])
            for value in inputs["parameters"].values()
            if value.get("taskOutputParameter", {}).get("outputParameterKey") == "digest"
        }
        producers = {
            value["taskOutputArtifact"]["producerTask"]
            for value in inputs.get("artifacts", {}).values()
        }
        assert producers == digests, name


def test_nothing_is_read_before_the_recipe_is_checked(digits_recipe: Recipe) -> None:
    tasks = pipeline(digits_recipe)["root"]["dag"]["tasks"]
    assert tasks["resolve-dataset"]["dependentTasks"] == ["check-recipe"]


def test_nothing_trains_before_the_data_are_validated(digits_recipe: Recipe) -> None:
    tasks = pipeline(digits_recipe)["root"]["dag"]["tasks"]
    assert "validate-data" in tasks["train-teacher"]["dependentTasks"]


def test_relative_path_is_refused_since_pods_have_another_working_directory() -> None:
    path = ROOT / "pipelines" / "recipes" / "digits.yaml"
    with pytest.raises(UserError, match=r"data\.uri is the relative path rows\.parquet"):
        refuse_relative_paths(load_recipe(path, ["data.uri=rows.parquet"]))
    refuse_relative_paths(load_recipe(path, ["data.uri=/data/rows.parquet"]))
    refuse_relative_paths(load_recipe(path))


def test_overrides_end_up_in_the_compiled_pipeline() -> None:
    path = ROOT / "pipelines" / "recipes" / "digits.yaml"
    compiled = pipeline(load_recipe(path, ["seed=7", "name=other"]))
    assert compiled["pipelineInfo"]["name"] == "other"
    assert compiled["root"]["inputDefinitions"]["parameters"]["seed"]["defaultValue"] == 7
