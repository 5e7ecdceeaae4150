from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from components.shared.bundle import load_network, save_bundle
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.networks.checking import check_model
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    HashTokenizer,
    ImageInput,
    StudentSpec,
    TextInput,
    load_recipe,
    parse_section,
)
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.outside_models import MODULES, FactorySpec
from tests.command_line import DIGITS

IMAGE = ImageInput(kind="image", size=[1, 8, 8])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=9))
SCALE = Preprocessing(mean=[4.9], std=[6.0])
IMAGES = torch.from_numpy(load_digits().images[:3, None]).float()
CNN = "tests.factories:SmallCnn"


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODULES, "other.pkg, tests.factories")


def build(factory: str = CNN, taken: InputSpec = IMAGE, **arguments: Any) -> Classifier:
    spec = FactorySpec(family="factory", factory=factory, arguments=arguments)
    return Classifier.build(spec, taken, SCALE, 10)


def check(build: Callable[[], Classifier], inputs: torch.Tensor = IMAGES) -> None:
    check_model(build, inputs, 10)


def test_factory_gets_shape_classes_and_its_arguments() -> None:
    network = build(width=8)
    assert isinstance(network.body.mix, torch.nn.Conv2d)
    assert network.body.mix.in_channels == 8
    assert network(IMAGES).shape == (3, 10)


def test_factory_of_a_text_model_gets_the_vocabulary() -> None:
    ids = torch.tensor([[1.0, 9, 3, 0, 0], [2, 0, 0, 0, 0]])

    def made() -> Classifier:
        return build("tests.factories:words", TEXT, dims=4)

    check(made, ids)
    assert made()(ids).shape == (2, 10)


def test_whole_numbers_come_through_kubeflow_as_such() -> None:
    model = {"family": "factory", "factory": CNN, "arguments": {"width": 8.0, "deep": [1.0, 0.5]}}
    spec = parse_section(StudentSpec, {"model": model}, "student").model
    assert isinstance(spec, FactorySpec)
    assert spec.arguments == {"width": 8, "deep": [1, 0.5]}
    assert isinstance(spec.arguments["width"], int)


def test_weights_follow_the_seed_and_checking_draws_no_numbers() -> None:
    torch.manual_seed(3)
    first, drawn = build(), torch.rand(2)
    torch.manual_seed(3)
    second = build()
    check(build)
    assert torch.equal(torch.rand(2), drawn)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_bundle_records_the_factory_and_asks_for_leave_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = FactorySpec(family="factory", factory=CNN, arguments={"width": 8})
    network = Classifier.build(spec, IMAGE, SCALE, 10).eval()
    saved = save_bundle(
        tmp_path / "bundle",
        network,
        role="student",
        model=spec,
        input=IMAGE,
        preprocessing=SCALE,
        classes=[str(digit) for digit in range(10)],
        seed=0,
        dataset_digest="d" * 64,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    )
    loaded, again = load_network(tmp_path / "bundle")
    assert loaded == saved
    assert loaded.model == spec
    assert torch.equal(again(IMAGES), network(IMAGES))
    monkeypatch.delenv(MODULES)
    with pytest.raises(UserError, match=rf"{CNN} is code .*allowed: none.*{MODULES}=tests.fac"):
        load_network(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("tests.real_data:titanic", "tests.real_data, which .* does not allow .*other.pkg, tests"),
        ("tests:factories", "the module tests, which"),
        ("tests.factoriesX:SmallCnn", "module tests.factoriesX, which"),
        ("tests.factories:run", "code of the module subprocess, which"),
        ("tests.factories:np", "has no function np"),
        ("tests.factories:missing", "tests.factories has no function missing"),
        ("other.pkg:net", "module other.pkg cannot be imported .*PYTHONPATH"),
        ("tests.factories:nothing", "gives a str, not a torch.nn.Module"),
        ("tests.factories:words", r"words\(input_shape, classes\) failed with TypeError.*vocab"),
    ],
)
def test_factory_that_may_or_can_not_be_called_is_refused(factory: str, expected: str) -> None:
    with pytest.raises(UserError, match=f"model.factory: .*{expected}"):
        build(factory)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("tuple", "gives a tuple, not a tensor of logits"),
        ("features", r"shape \[3, 9\] for 3 rows, not \[3, 10\]"),
        ("double", "are torch.float64, not torch.float32"),
        ("infinite", "logits for 3 rows of the data are not finite"),
        ("batch", "depend on the rows beside it"),
        ("squeezed", r"shape \[10\] for one row, not \[1, 10\]"),
        ("detached", "none of its weights gets a gradient"),
        ("count", "depend on the rows beside it"),
        ("python", "operations depend, in Python, on the number of rows or on their values"),
        ("eigenvalues", "cannot be exported to ONNX, with UnsupportedOperatorError"),
        ("fails", "fails on 3 rows of the data, with RuntimeError: mat1 and mat2"),
    ],
)
def test_model_that_could_not_be_trained_or_deployed_is_refused(what: str, expected: str) -> None:
    with pytest.raises(UserError, match=f"^model: .*{expected}"):
        check(lambda: build("tests.factories:computing", what=what))


def test_weights_that_the_seed_does_not_decide_are_refused() -> None:
    with pytest.raises(UserError, match="has other values each time the model is made"):
        check(lambda: build("tests.factories:unseeded"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("student.model={family: factory, factory: os.system}", "package.module:function, not"),
        (
            f"student.model={{family: factory, factory: '{CNN}', arguments: {{classes: 3}}}}",
            "student.model.arguments: classes follows from the data",
        ),
        (
            f"resources.defaults.env={{{MODULES}: os}}",
            f"{MODULES} says which code a recipe may ask for, or where it is, and is no matter",
        ),
        (
            "resources.steps={train_student: {config_maps: {a: {env: {code: PYTHONPATH}}}}}",
            "PYTHONPATH says which code a recipe may ask for, or where it is, and is no matter",
        ),
    ],
)
def test_recipe_says_what_is_wrong_with_a_factory(override: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_recipe(DIGITS, [override])
