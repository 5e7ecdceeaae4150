import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from kfp.components import load_component_from_file

from components.shared.errors import UserError
from components.shared.recipe import LabellingSpec, Recipe, load_recipe
from pipelines.compiling import (
    compile_manifests,
    compile_recipe,
    generated_files,
    refuse_relative_paths,
)
from tests.pipelines.compiled import pipeline, source, with_several_teachers

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "pipelines" / "recipes"
generated = cache(generated_files)


@pytest.mark.parametrize("path", generated(ROOT), ids=lambda path: path.name)
def test_generated_file_in_the_repository_is_up_to_date(path: Path) -> None:
    assert path.read_text() == generated(ROOT)[path], "run `make compile`"


def test_every_process_writes_the_same_objects_for_a_recipe(tmp_path: Path) -> None:
    """The version is named by its content, which GitOps applies again and again."""
    written = set()
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.yaml"
        program = Path(sys.executable).with_name("kubedistill")
        subprocess.run(
            [
                *(program, "compile", RECIPES / "cluster.yaml"),
                *("--format", "kubernetes", "--output", path),
            ],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        written.add(path.read_bytes())
    assert len(written) == 1


def test_objects_for_gitops_hold_the_pipeline_that_is_submitted(digits_recipe: Recipe) -> None:
    objects = list(yaml.safe_load_all(compile_manifests(digits_recipe)))
    ir, platform = yaml.safe_load_all(compile_recipe(digits_recipe))
    assert [found["kind"] for found in objects] == ["Pipeline", "PipelineVersion"]
    assert {found["apiVersion"] for found in objects} == {"pipelines.kubeflow.org/v2beta1"}
    assert objects[0]["metadata"] == {"name": "digits"}
    version = objects[1]["spec"]
    assert version["pipelineName"] == "digits"
    assert version["pipelineSpec"] == ir
    assert version["platformSpec"] == platform


def test_version_has_another_name_only_when_the_pipeline_is_another() -> None:
    def name(*overrides: str) -> str:
        objects = compile_manifests(load_recipe(RECIPES / "digits.yaml", overrides))
        return str(list(yaml.safe_load_all(objects))[1]["metadata"]["name"])

    names = [name(), name("seed=1"), name("resources.defaults.cpu=2")]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"digits-[0-9a-f]{12}", found) for found in names)
    assert name() == names[0]


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
        "import-teacher",
        "label-shards",
        "generate-soft-labels",
        "combine-soft-labels",
        "describe-ensemble",
        "train-student",
        "compress-student",
        "fetch-champion",
        "fetch-version",
        "collect-rows",
        "compare-challenger",
        "attach-comparison",
        "evaluate-student",
        "decide-promotion",
        "report-results",
        "register-student",
        "delete-train-jobs",
    }


def steps(recipe: Recipe) -> dict[str, dict]:
    """All tasks that run something, those inside of conditions too."""
    compiled = pipeline(recipe)
    dags = [compiled["root"]["dag"]]
    dags += [found["dag"] for found in compiled["components"].values() if "dag" in found]
    return {
        name: task
        for dag in dags
        for name, task in dag["tasks"].items()
        if "executorLabel" in compiled["components"][task["componentRef"]["name"]]
    }


def test_nothing_is_installed_when_a_step_starts(digits_recipe: Recipe) -> None:
    assert "pip install" not in compile_recipe(digits_recipe)


def test_run_time_knobs_are_parameters_with_the_recipes_values(digits_recipe: Recipe) -> None:
    parameters = pipeline(digits_recipe)["root"]["inputDefinitions"]["parameters"]
    assert parameters["data_uri"]["defaultValue"] == "builtin://digits"
    assert parameters["seed"]["defaultValue"] == 0
    assert parameters["gates"]["defaultValue"]["accuracy"] == {"min": 0.9}
    assert parameters["student"]["defaultValue"]["training"]["steps"] == [400, 1600]


def test_steps_that_read_or_change_the_outside_world_are_not_cached(digits_recipe: Recipe) -> None:
    tasks = steps(digits_recipe)
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
    for recipe in (digits_recipe, with_several_teachers(digits_recipe)):
        for name, task in steps(recipe).items():
            if not task["cachingOptions"].get("enableCache"):
                continue
            digests = {
                source(value)
                for parameter, value in task["inputs"]["parameters"].items()
                if parameter.endswith("digest")
            }
            artifacts = task["inputs"].get("artifacts", {})
            assert set(map(source, artifacts.values())) <= digests, name


def test_each_teacher_labels_with_its_own_workers_before_its_labels_are_sealed(
    digits_recipe: Recipe,
) -> None:
    compiled = pipeline(with_several_teachers(digits_recipe))
    tasks = compiled["root"]["dag"]["tasks"]
    for number in range(5):
        suffix = f"-{number + 1}" if number else ""
        sealed, workers = tasks[f"generate-soft-labels{suffix}"], f"label-by-workers{suffix}"
        assert workers in sealed["dependentTasks"]
        given = tasks[workers]["inputs"]
        assert given["parameters"]["workers"]["runtimeValue"]["constant"] == [0, 1, 2]
        for kind, names in (
            ("artifacts", ("dataset", "teacher")),
            ("parameters", ("dataset_digest", "teacher_digest")),
        ):
            for name in names:
                assert source(given[kind][name]) == source(sealed["inputs"][kind][name])
    images = {
        name: executor["container"]["image"]
        for name, executor in compiled["deploymentSpec"]["executors"].items()
    }
    with_mlflow = {name for name, image in images.items() if "soft-labels-mlflow" in image}
    assert {name.rstrip("-0123456789") for name in with_mlflow} == {
        "exec-import-teacher",
        "exec-label-shards",
        "exec-generate-soft-labels",
    }


def test_bytes_behind_a_uri_and_the_present_champion_are_never_cached(
    digits_recipe: Recipe,
) -> None:
    tasks = steps(with_several_teachers(digits_recipe))
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert "train-teacher" in cached
    assert not cached & {
        "train-teacher-2",
        "import-teacher",
        "import-teacher-2",
        "import-teacher-3",
        "fetch-champion",
        "validate-data",
    }


def test_student_is_judged_again_only_where_the_champion_moved(digits_recipe: Recipe) -> None:
    compiled = pipeline(digits_recipe)
    again = compiled["root"]["dag"]["tasks"]["condition-1"]
    assert again["triggerPolicy"]["condition"].endswith("== 'champion_moved'")
    inside = set(compiled["components"]["comp-condition-1"]["dag"]["tasks"])
    assert inside == {
        "fetch-champion-2",
        "evaluate-student-2",
        "decide-promotion-2",
        "report-results-2",
        "register-student-2",
    }
    attempts = {
        name: task["inputs"]["parameters"]["last_attempt"]["runtimeValue"]["constant"]
        for name, task in steps(digits_recipe).items()
        if name.startswith("register-student")
    }
    assert attempts == {"register-student": False, "register-student-2": True}


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
    text = "data.input={kind: text, column: c, length: 8, tokenizer: {kind: file, uri: t.json}}"
    models = [f"{role}.model={{family: bag}}" for role in ("teacher", "student")]
    with pytest.raises(
        UserError, match=r"data\.input\.tokenizer\.uri is the relative path t\.json"
    ):
        refuse_relative_paths(load_recipe(path, [text, *models, "teacher.training.shift=0"]))
    model = "student.model={family: transformers, folder: vit}"
    with pytest.raises(UserError, match=r"model\.folder is the relative path vit"):
        refuse_relative_paths(load_recipe(path, [model]))
    refuse_relative_paths(load_recipe(path, ["data.uri=/data/rows.parquet"]))
    refuse_relative_paths(load_recipe(path))


def test_overrides_end_up_in_the_compiled_pipeline() -> None:
    path = ROOT / "pipelines" / "recipes" / "digits.yaml"
    compiled = pipeline(load_recipe(path, ["seed=7", "name=other"]))
    assert compiled["pipelineInfo"]["name"] == "other"
    assert compiled["root"]["inputDefinitions"]["parameters"]["seed"]["defaultValue"] == 7


def test_what_can_go_on_where_it_was_killed_is_tried_again_in_a_cluster(
    digits_recipe: Recipe,
) -> None:
    several = digits_recipe.model_copy(
        update={"labelling": LabellingSpec(workers=2), "storage": "/kept"}
    )
    tried_again = {name for name, task in steps(several).items() if "retryPolicy" in task}
    assert tried_again == {
        "train-teacher",
        "label-shards",
        "generate-soft-labels",
        "train-student",
        "train-student-2",
        "train-student-3",
    }
    assert "retryPolicy" not in compile_recipe(several, for_cluster=False)
