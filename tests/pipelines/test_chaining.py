"""The compiled pipeline between teacher and student: who learns from whose labels."""

from pathlib import Path
from typing import Any

import pytest

from components.shared.recipe import load_recipe
from tests.pipelines.compiled import pipeline, source, with_several_teachers

DIGITS = Path(__file__).parents[2] / "pipelines" / "recipes" / "digits.yaml"
CHAIN = (
    "distillation.assistants=[{model: {family: mlp, hidden: [64]}}]",
    "distillation.generations=2",
)


@pytest.fixture(scope="module", params=[False, True], ids=["one teacher", "several, by workers"])
def chained(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The compiled pipeline of an assistant and two generations."""
    recipe = load_recipe(DIGITS, CHAIN)
    return pipeline(with_several_teachers(recipe) if request.param else recipe)


def tasks_of(compiled: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compiled["root"]["dag"]["tasks"]
    return found


def trained(compiled: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """The tasks that train, by arm and stage."""
    found = {}
    for name, task in tasks_of(compiled).items():
        if name.startswith("train-student"):
            given = {
                key: value["runtimeValue"]["constant"]
                for key, value in task["inputs"]["parameters"].items()
                if "runtimeValue" in value
            }
            found[given["arm"], int(given.get("stage", -1))] = {"name": name, **task}
    return found


def labels_of(task: dict[str, Any], name: str = "soft_labels") -> str:
    """Who sealed the labels that a task reads; their digest is of the same."""
    sealed = source(task["inputs"]["artifacts"][name])
    assert source(task["inputs"]["parameters"][f"{name}_digest"]) == sealed
    return sealed


def test_each_stage_learns_from_the_labels_of_the_one_before(chained: dict[str, Any]) -> None:
    tasks, arms = tasks_of(chained), trained(chained)
    several = "describe-ensemble" in tasks
    assert set(arms) == {
        ("assistant", 0),
        ("assistant", 1),
        ("student", -1),
        ("hard_label", -1),
        ("pseudo_label", -1),
    }
    first = labels_of(arms["assistant", 0])
    assert first.startswith("combine-soft-labels" if several else "generate-soft-labels")
    taught_by = [labels_of(arms["assistant", 1]), labels_of(arms["student", -1])]
    for stage, sealed in enumerate(taught_by):
        assistant = arms["assistant", stage]["name"]
        workers = [one for one in tasks[sealed]["dependentTasks"] if one.startswith("label-by")]
        assert len(workers) == several, "an assistant labels by as many workers as a teacher"
        for labeller in (sealed, *workers):
            inputs = tasks[labeller]["inputs"]
            assert source(inputs["artifacts"]["teacher"]) == assistant
            assert source(inputs["parameters"]["teacher_digest"]) == assistant
    compress = tasks["compress-student"]
    assert labels_of(compress) == taught_by[-1], "a form learns on from what the student did"
    assert labels_of(compress, "teacher_labels") == first
    for baseline in ("hard_label", "pseudo_label"):
        assert labels_of(arms[baseline, -1]) == first
    teacher = source(tasks["report-results"]["inputs"]["artifacts"]["teacher_bundle"])
    assert teacher == ("describe-ensemble" if several else "train-teacher")


def test_every_stage_is_cached_by_the_digest_of_all_that_it_reads(
    chained: dict[str, Any],
) -> None:
    for name, task in tasks_of(chained).items():
        if name.startswith(("train-student", "generate-soft-labels", "compress-student")):
            kept_elsewhere = "label-by-workers" in tasks_of(chained)
            if name.startswith("generate") and kept_elsewhere:  # the store is the cache
                continue
            assert task["cachingOptions"].get("enableCache"), name
            digests = {
                source(value)
                for parameter, value in task["inputs"]["parameters"].items()
                if parameter.endswith("digest")
            }
            assert set(map(source, task["inputs"]["artifacts"].values())) <= digests, name


def test_stages_have_names_that_the_user_interface_shows(chained: dict[str, Any]) -> None:
    assert [task["taskInfo"]["name"] for task in trained(chained).values()] == [
        "train-assistant-1",
        "train-assistant-2",
        "train-student",
        "train-hard-label",
        "train-pseudo-label",
    ]
