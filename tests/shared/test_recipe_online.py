"""Methods for which other networks learn at the same time, in a recipe."""

import pytest

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from components.shared.recipe.objectives import described
from tests.command_line import DIGITS

ONNX = "teacher={source: onnx, uri: /model.onnx}"


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(DIGITS, [f"distillation.{one}" for one in overrides])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("mutual", "mutual learning (1 peer)"),
        (
            "[kd, {kind: mutual, peers: 2, model: {family: cnn}, temperature: 3, weight: 0.5}]",
            "KD (divergence of soft labels) + 0.5 · mutual learning (2 peers, cnn, temperature 3)",
        ),
        (
            "{kind: online_teacher, model: {family: cnn}, temperature: 4}",
            "KD from a teacher that learns at the same time (cnn, temperature 4)",
        ),
    ],
)
def test_method_is_said_in_words(written: str, words: str) -> None:
    assert described(recipe_of(f"method={written}").distillation.objectives) == words


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("method={kind: mutual, peers: 0}", "peers: input should be greater than 0"),
        (
            "method=[kd, {kind: mutual, model: {family: bag}}]",
            "distillation.method[1].model.family is bag, but data.input.kind is image",
        ),
        (
            "assistants=[{model: {family: cnn}, distillation: {method: "
            "{kind: mutual, model: {family: bag}}}}]",
            "distillation.assistants[0].distillation.method[0].model.family is bag",
        ),
        ("method={kind: mutual, model: {family: sentence_encoder}}", "sentence_encoder"),
        ("method=online_teacher", "model: is required"),
        (
            "method={kind: online_teacher, model: {family: bag}}",
            "distillation.method[0].model.family is bag, but data.input.kind is image",
        ),
    ],
)
def test_mistake_is_named(override: str, expected: str) -> None:
    with pytest.raises(UserError) as refused:
        recipe_of(override)
    assert expected in str(refused.value)


def test_peer_that_normalises_over_rows_needs_two_of_them() -> None:
    peer = "distillation.method={kind: mutual, model: {family: residual_mlp}}"
    load_recipe(DIGITS, [peer])
    with pytest.raises(UserError, match=r"method\[0\]\.model is a residual_mlp.*batch_size is 1"):
        load_recipe(DIGITS, [peer, "student.training.batch_size=1"])


def test_peers_teach_classes_and_need_no_teacher_that_is_a_network() -> None:
    recipe = load_recipe(DIGITS, [ONNX, "distillation={method: mutual, weight: [1, 0.5]}"])
    assert recipe.distillation.weights == [1, 0.5]
    assert recipe.distillation.temperatures == [None]
    assert not recipe.distillation.runs_teacher


def test_teacher_that_learns_teaches_classes_at_the_temperature_of_the_section() -> None:
    taught = "method: {kind: online_teacher, model: {family: cnn}}, temperature: [4, 1], weight: 1"
    recipe = load_recipe(DIGITS, [ONNX, f"distillation={{{taught}}}"])
    assert recipe.distillation.weights == [1]
    assert recipe.distillation.temperatures == [4, 1]
    assert not recipe.distillation.runs_teacher
