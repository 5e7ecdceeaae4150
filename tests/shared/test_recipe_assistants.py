"""The recipe's assistants and generations: what may be written, and who learns before whom."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from components.shared.recipe.graph import check_graph, graph_of
from components.shared.recipe.student import StageSpec, stages

DIGITS = Path(__file__).parents[2] / "pipelines" / "recipes" / "digits.yaml"
ASSISTANT = "distillation.assistants=[{model: {family: mlp, hidden: [64]}}]"
TWO = (
    "distillation.assistants=[{model: {family: cnn}, training: {steps: 50}, "
    "distillation: {method: dist, temperature: 3}}, {model: {family: mlp, hidden: [64]}}]"
)


def before(*overrides: str) -> list[StageSpec]:
    recipe = load_recipe(DIGITS, overrides)
    return stages(recipe.student, recipe.distillation)


def test_assistant_learns_as_it_says_and_otherwise_as_the_student() -> None:
    own, inherited = before(TWO)
    assert own.student.model.family == "cnn"
    assert own.student.training.steps == [50]
    assert [one.kind for one in own.distillation.objectives] == ["dist"]
    assert own.distillation.temperature == [3]
    recipe = load_recipe(DIGITS)
    assert inherited.student.training == recipe.student.training
    assert inherited.distillation.temperature == recipe.distillation.temperature
    assert inherited.distillation.objectives == recipe.distillation.objectives


def test_generations_but_the_last_are_the_student_itself_after_the_assistants() -> None:
    recipe = load_recipe(DIGITS)
    assert before() == before("distillation.generations=1") == []
    first, second, third = before(ASSISTANT, "distillation.generations=3")
    assert first.student.model != recipe.student.model
    assert second == third
    assert second.student == recipe.student
    assert second.distillation.model_dump() == recipe.distillation.model_dump()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["distillation.assistants=[{model: {family: bag}}]"],
            "distillation.assistants[0].model.family is bag, but data.input.kind is image",
        ),
        (
            ["distillation.assistants=[{modle: {family: mlp}}]"],
            "distillation.assistants[0].modle: unknown field; did you mean model?",
        ),
        (
            ["distillation.assistants=[{model: {family: mlp}, distillation: {generations: 2}}]"],
            "distillation.assistants[0].distillation.generations: unknown field",
        ),
        (
            [TWO, "data.classes=[a, b]"],
            "distillation.assistants[0].distillation.method: dist needs three classes or more",
        ),
        (["distillation.generations=0"], "distillation.generations: input should be greater"),
    ],
)
def test_mistake_in_an_assistant_is_named(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(DIGITS, overrides)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("distillation", "expected"),
    [
        ("{method: fitnet}", r"distillation.assistants\[0\].distillation.method runs the teacher"),
        (
            "{live: {flip: true}}",
            r"distillation.assistants\[0\].distillation.live runs the teacher",
        ),
        ("null", "distillation.method runs the teacher"),
    ],
)
def test_it_is_said_whose_method_would_run_a_teacher_that_is_no_network(
    distillation: str, expected: str
) -> None:
    first = f"distillation.assistants=[{{model: {{family: mlp}}, distillation: {distillation}}}]"
    method = "distillation.method=" + ("rkd" if distillation == "null" else "kd")
    teacher = "teacher={source: onnx, uri: teacher.onnx}"
    with pytest.raises(UserError, match=f" {expected}"):
        load_recipe(DIGITS, [first, method, teacher])


def test_chain_survives_the_trip_through_pipeline_parameters() -> None:
    recipe = load_recipe(DIGITS, [TWO, "distillation.generations=2"])
    carried: dict[str, Any] = json.loads(recipe.model_dump_json(exclude_none=True), parse_int=float)
    again = Recipe.model_validate(carried)
    assert stages(again.student, again.distillation) == before(TWO, "distillation.generations=2")


def test_recipe_without_a_chain_says_nothing_of_one() -> None:
    written = load_recipe(DIGITS).model_dump(mode="json")["distillation"]
    assert not {"assistants", "generations"} & set(written)


@pytest.mark.parametrize("changed", [ASSISTANT, "distillation.generations=2"])
def test_chain_of_another_length_needs_another_pipeline(changed: str) -> None:
    compiled = graph_of(load_recipe(DIGITS))
    check_graph(load_recipe(DIGITS, ["distillation.temperature=4"]), compiled)
    with pytest.raises(UserError, match="compile the recipe again"):
        check_graph(load_recipe(DIGITS, [changed]), compiled)
