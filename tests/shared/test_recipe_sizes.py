"""The search for the smallest student, in a recipe: which sizes there are, and what it needs."""

from typing import Any, cast

import pytest
from pydantic import TypeAdapter

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import HashTokenizer, ImageInput, ModelSpec, TextInput, load_recipe
from components.shared.recipe.graph import check_graph, graph_of
from components.shared.recipe.models import BuiltInSpec
from components.shared.recipe.sizes import SizeSearchSpec, sized
from pipelines.comparing.methods import recipe_of_seed
from pipelines.layer_check import check_layers
from tests.command_line import DIGITS
from tests.pipelines.compiled import pipeline, source

IMAGE = ImageInput(kind="image", size=[1, 8, 8])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=20))
SMALLER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mlp": ({"hidden": [40, 20, 10]}, {"hidden": [20, 10]}),
    "residual_mlp": (
        {"width": 8, "hidden": 16, "blocks": 3},
        {"width": 4, "hidden": 8, "blocks": 2},
    ),
    "cnn": ({"channels": [8, 16], "hidden": 6}, {"channels": [4], "hidden": 3}),
    "resnet": (
        {"channels": [8, 16], "blocks": [1, 2]},
        {"channels": [4, 8], "blocks": [1, 1]},
    ),
    "mobilenet": (
        {"channels": [16, 32], "blocks": [2, 3], "width": 1.5},
        {"width": 0.75, "blocks": [1, 2]},
    ),
    "bag": ({"dims": 12, "hidden": [6, 4]}, {"dims": 6, "hidden": [3]}),
    "transformer": (
        {"dims": 12, "heads": 4, "hidden": 10, "layers": 2},
        {"dims": 8, "hidden": 5, "layers": 1},
    ),
}
"""Sizes at half the width and half the depth."""
SEARCH = "student.search={}"


def model_of(family: str, sizes: dict[str, Any]) -> BuiltInSpec:
    spec = {"family": family, **sizes}
    return cast(BuiltInSpec, TypeAdapter[ModelSpec](ModelSpec).validate_python(spec))


def parameters(model: BuiltInSpec) -> int:
    text = model.family in ("bag", "transformer")
    numbers: list[float] = [] if text else [1.0]
    plain = Preprocessing(mean=numbers, std=numbers)
    return Classifier.build(model, TEXT if text else IMAGE, plain, classes=3).parameter_count


@pytest.mark.parametrize("family", SMALLER)
def test_half_the_width_and_depth_is_a_smaller_network_of_the_family(family: str) -> None:
    largest, expected = SMALLER[family]
    model = model_of(family, largest)
    smaller = sized(model, 0.5, 0.5)
    assert smaller == model_of(family, {**largest, **expected})
    assert parameters(smaller) < parameters(model)
    assert sized(model, 1, 1) == model
    least = sized(model, 1e-6, 1e-6)
    assert parameters(least) <= parameters(smaller)
    assert model_of(family, least.model_dump(exclude={"family"})) == least


def test_sizes_are_all_widths_with_all_depths_each_once_and_the_largest_too() -> None:
    search = SizeSearchSpec(widths=[0.5, 0.25], depths=[0.5])
    sizes = search.sizes(model_of("mlp", {"hidden": [8, 4]}))
    hidden = [one.hidden for one in sizes]  # type: ignore[union-attr]
    assert sorted(hidden) == [[2], [2, 1], [4], [4, 2], [8], [8, 4]]
    assert len(search.sizes(model_of("mlp", {"hidden": [1]}))) == 1


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ("{accuracy: {min: 0.9}, retention: {min: 0.95}}", 0.95),
        ("{agreement: {min: 0.8}}", 0.8),
    ],
)
def test_needed_is_the_most_that_the_gates_ask(gates: str, expected: float) -> None:
    recipe = load_recipe(DIGITS, [SEARCH, f"gates={gates}"])
    assert recipe.student.search is not None
    assert recipe.student.search.needed(recipe.gates) == expected
    assert SizeSearchSpec(agreement=0.7).needed(recipe.gates) == 0.7


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["gates={size: {max_bytes: 100}}"], "student.search needs to know which size is enough"),
        (["gates={retention: {min: 1}}"], "student.search cannot show an agreement of 1, with"),
        (["distillation.generations=2"], "leave out one of the two"),
        (["student.search.widths=[0.5, 2]"], "student.search.widths[1]: "),
        (["student.search.depths=0"], "student.search.depths[0]: "),
        (["student.search.budget=0"], "student.search.budget: "),
        (
            ["student.model={family: factory, factory: 'a:b'}"],
            "nothing is known of what is inside a factory",
        ),
    ],
)
def test_mistake_is_named(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError) as refused:
        load_recipe(DIGITS, [SEARCH, *overrides])
    assert expected in str(refused.value)


def test_baselines_wait_for_the_student_whose_network_they_take() -> None:
    plain, searching = load_recipe(DIGITS), load_recipe(DIGITS, [SEARCH])
    for recipe in (plain, searching):
        tasks = pipeline(recipe)["root"]["dag"]["tasks"]
        student, *baselines = (tasks[name] for name in sorted(tasks) if "train-student" in name)
        assert len(baselines) == 2
        searches = recipe is searching
        assert ("gates" in student["inputs"]["parameters"]) == searches
        for baseline in baselines:
            given = baseline["inputs"]
            network = given.get("artifacts", {}).get("network_of")
            assert (network is not None) == searches
            if network:
                assert source(network) == "train-student"
                assert source(given["parameters"]["network_of_digest"]) == "train-student"
    with pytest.raises(UserError, match=r"student\.search is True, but the pipeline was compiled"):
        check_graph(searching, graph_of(plain))


def test_methods_are_compared_on_the_network_that_the_recipe_names() -> None:
    searching = load_recipe(DIGITS, [SEARCH])
    assert recipe_of_seed(searching, searching.seed).student.search is None


def test_layers_have_to_be_there_in_every_size() -> None:
    cnn = "student.model={family: cnn, channels: [4, 8], hidden: 8}"
    exits = "distillation.method=[kd, {kind: deeper_exit, exits: [body.9]}]"
    check_layers(load_recipe(DIGITS, [cnn, exits]))
    with pytest.raises(UserError, match=r"body\.9.*of a size that student.search may find"):
        check_layers(load_recipe(DIGITS, [cnn, exits, SEARCH]))
