"""Methods that look inside networks, in a recipe: what they need, and what the pipeline gets."""

import pytest
import yaml

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from components.shared.recipe.graph import check_graph, graph_of
from components.shared.recipe.objectives import described
from pipelines.compiling import compile_recipe
from tests.command_line import DIGITS

ONNX = "teacher={source: onnx, uri: /model.onnx}"


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(DIGITS, [f"distillation.{one}" for one in overrides])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("fitnet", "100 · FitNet (hints)"),
        (
            "{kind: attention_transfer, layers: [{student: a.1, teacher: b}]}",
            "1000 · attention transfer, layers a.1 to b",
        ),
        ("{kind: hidden_states, similarity: cka}", "hidden states (cka)"),
        ("{kind: rkd, angle: 0}", "RKD (distance 25, angle 0)"),
        (
            "[kd, {kind: similarity_preserving, weight: 10}]",
            "KD (divergence of soft labels) + 10 · similarity-preserving",
        ),
        (
            "[kd, {kind: deeper_exit, exits: [body.1, body.3], alpha: 0.5}]",
            "KD (divergence of soft labels) + deeper exit (teaches body.1 and body.3, alpha 0.5, "
            "temperature 3)",
        ),
        (
            "{kind: crd, negatives: 64}",
            "0.8 · CRD (contrast, 128 dims, temperature 0.07, 64 negatives)",
        ),
    ],
)
def test_method_is_said_in_words(written: str, words: str) -> None:
    assert described(recipe_of(f"method={written}").distillation.objectives) == words


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("method={kind: fitnet, layers: []}", "layers: list should have at least 1 item"),
        ("method={kind: fitnet, layers: [{student: a}]}", "layers[0].teacher: is required"),
        ("method={kind: rkd, distance: 0, angle: 0}", "distance and angle are both 0"),
        ("method={kind: hidden_states, similarity: dot}", "similarity: "),
        ("method=deeper_exit", "exits: is required"),
        ("method={kind: deeper_exit, exits: [a, b, a]}", "exits: a is listed more than once"),
        ("method={kind: deeper_exit, exits: [a], alpha: 2}", "alpha: "),
        ("method={kind: fitnet, temperature: 2}", "temperature: unknown field"),
    ],
)
def test_mistake_is_named(override: str, expected: str) -> None:
    with pytest.raises(UserError) as refused:
        recipe_of(override)
    assert expected in str(refused.value)


def test_labels_stay_in_the_loss_where_nothing_else_teaches_classes() -> None:
    assert recipe_of("method=rkd", "weight=[1, 0.9]").distillation.weights == [0.9]
    assert recipe_of("method=[rkd, kd]", "weight=[1, 0.9]").distillation.weights == [1, 0.9]
    with pytest.raises(UserError, match="rkd alone teaches no classes; give a weight below 1, or"):
        recipe_of("method=rkd", "weight=1")
    exits = "method={kind: deeper_exit, exits: [body.1]}"
    assert recipe_of(exits, "weight=[1, 0.9]").distillation.weights == [0.9]


def test_student_that_teaches_itself_needs_no_teacher_that_is_a_network() -> None:
    exits = "distillation.method=[kd, {kind: deeper_exit, exits: [body.1]}]"
    assert not load_recipe(DIGITS, [ONNX, exits]).distillation.runs_teacher


def test_teacher_that_is_no_network_is_refused_but_one_behind_an_assistant_is_not_looked_at() -> (
    None
):
    with pytest.raises(UserError, match="has to be a network then: one of source train or bundle"):
        load_recipe(DIGITS, [ONNX, "distillation.method=fitnet"])
    taught = "[{model: {family: cnn}, distillation: {method: kd}}]"
    behind = ["distillation.method=fitnet", f"distillation.assistants={taught}"]
    assert load_recipe(DIGITS, [ONNX, *behind]).distillation.runs_teacher


def test_only_the_student_of_a_method_that_runs_the_teacher_is_given_it() -> None:
    for method, expected in (("kd", []), ("[kd, rkd]", ["train-student"])):
        compiled = yaml.safe_load(compile_recipe(recipe_of(f"method={method}"), for_cluster=False))
        given = [
            task["taskInfo"]["name"]
            for task in compiled["root"]["dag"]["tasks"].values()
            if task["componentRef"]["name"].startswith("comp-train-student")
            and "teacher" in task["inputs"]["artifacts"]
        ]
        assert given == expected


def test_everyone_in_a_chain_is_given_who_labelled_for_it() -> None:
    taught = "assistants: [{model: {family: cnn}, distillation: {method: fitnet}}], generations: 2"
    recipe = load_recipe(DIGITS, [f"distillation={{method: [kd, rkd], {taught}}}"])
    compiled = yaml.safe_load(compile_recipe(recipe, for_cluster=False))
    given = {
        task["taskInfo"]["name"]: artifact["taskOutputArtifact"]["producerTask"]
        for task in compiled["root"]["dag"]["tasks"].values()
        if task["componentRef"]["name"].startswith("comp-train-student")
        and (artifact := task["inputs"]["artifacts"].get("teacher"))
    }
    assert given == {
        "train-assistant-1": "train-teacher",
        "train-assistant-2": "train-student",
        "train-student": "train-student-2",
    }


def test_pipeline_refuses_a_method_for_which_it_has_not_the_steps() -> None:
    stored, looking = recipe_of("method=kd"), recipe_of("method=[kd, fitnet]")
    check_graph(recipe_of("method=[kd, rkd]"), graph_of(looking))
    for now, compiled in ((looking, stored), (stored, looking)):
        with pytest.raises(
            UserError, match=r"distillation\.method is .*; compile the recipe again"
        ):
            check_graph(now, graph_of(compiled))
