"""Which layers are compared in networks of every family, and what of them cannot be."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import HashTokenizer, ImageInput, InputSpec, ModelSpec, TextInput
from components.shared.recipe.objectives import Objectives
from components.shared.training.objectives.building import Setting, term_of
from components.shared.training.objectives.composing import Term
from components.shared.training.objectives.looking_inside import RowByRow

IMAGE = ImageInput(kind="image", size=[1, 8, 8])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=20))
MODELS: dict[str, tuple[dict[str, Any], InputSpec]] = {
    "mlp": ({"hidden": [6]}, IMAGE),
    "residual_mlp": ({"width": 6, "hidden": 8}, IMAGE),
    "cnn": ({"channels": [4], "hidden": 6}, IMAGE),
    "resnet": ({"channels": [4, 6], "blocks": 1}, IMAGE),
    "mobilenet": ({"channels": [4, 6], "blocks": 1, "stem": 4, "head": 8}, IMAGE),
    "bag": ({"dims": 6}, TEXT),
    "transformer": ({"dims": 8, "layers": 1, "heads": 2, "hidden": 10}, TEXT),
}
LAST_WITH_PLACES = {
    "cnn": "body.3",
    "resnet": "body.4",
    "mobilenet": "body.7",
    "bag": "body.0.vectors",
    "transformer": "body.0.norm",
}


def network(family: str) -> Classifier:
    sizes, given = MODELS[family]
    spec = TypeAdapter[ModelSpec](ModelSpec).validate_python({"family": family, **sizes})
    numbers = [] if given is TEXT else [1.0]
    return Classifier.build(spec, given, Preprocessing(mean=numbers, std=numbers), classes=3)


def term(student: nn.Module, teacher: nn.Module, given: InputSpec, written: Any) -> Term:
    (spec,) = TypeAdapter(Objectives).validate_python(written)
    return term_of(spec, Setting(student, teacher, given.shape, 3, rows=40))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", MODELS)
def test_what_goes_into_the_last_layer_is_compared_by_default(family: str) -> None:
    model, (_, given) = network(family).eval(), MODELS[family]
    for written in ("fitnet", "rkd", "crd", "similarity_preserving", "hidden_states"):
        made = term(model, model, given, written)
        (tap,) = made.student_taps
        assert made.teacher_taps == (tap,)
        assert tap.side == "input"
        seen: list[Tensor] = []
        last = model.get_submodule(tap.path)
        last.register_forward_pre_hook(lambda _module, inputs, seen=seen: seen.append(inputs[0]))
        logits = model(torch.ones(2, *given.shape))
        torch.testing.assert_close(last(seen[0]), logits)


@pytest.mark.parametrize("family", LAST_WITH_PLACES)
def test_attention_is_that_of_the_last_layer_with_places(family: str) -> None:
    model, (_, given) = network(family), MODELS[family]
    (tap,) = term(model, model, given, "attention_transfer").student_taps
    assert tap == (LAST_WITH_PLACES[family], "output")


@pytest.mark.parametrize("family", ["mlp", "residual_mlp"])
def test_network_without_places_has_no_attention(family: str) -> None:
    model, (_, given) = network(family), MODELS[family]
    with pytest.raises(UserError, match="but the student has no layer of more than one"):
        term(model, model, given, "attention_transfer")


def named(student: str, teacher: str) -> dict[str, Any]:
    return {"kind": "fitnet", "layers": [{"student": student, "teacher": teacher}]}


def test_projection_is_learned_where_widths_differ_and_only_there() -> None:
    made = term(network("cnn"), network("resnet"), IMAGE, named("body.3", "body.4"))
    assert isinstance(made, RowByRow)
    assert [tuple(one.shape) for one in made.parameters()] == [(6, 4), (6,)]
    same = term(network("cnn"), network("resnet"), IMAGE, named("body.3", "body.3"))
    assert list(same.parameters()) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "body.0.layers.0.feed_forward.inner",
            "does not put out one value for each row; name the layer around it",
        ),
        ("body.0.layers", "body.0.layers is not run when the student is"),
    ],
)
def test_layer_that_says_nothing_of_a_row_is_refused(path: str, expected: str) -> None:
    model = network("transformer")
    with pytest.raises(UserError) as refused:
        term(model, model, TEXT, named(path, "body.0.norm"))
    assert expected in str(refused.value)


def test_network_whose_last_layer_cannot_be_told_needs_layers() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Bilinear(5, 5, 3))
    with pytest.raises(UserError, match="no fully connected layer that makes the 3 classes, befor"):
        term(plain, network("cnn"), IMAGE, "rkd")


def test_looking_leaves_networks_as_they_were() -> None:
    student, teacher = network("cnn").train(), network("resnet").eval()
    before = [value.clone() for value in student.state_dict().values()]
    term(student, teacher, IMAGE, "attention_transfer")
    assert student.training
    assert not teacher.training
    assert all(map(torch.equal, before, student.state_dict().values()))
    assert not any(module._forward_hooks for module in student.modules())
