import pickle
from pathlib import Path

import pytest
import torch

from components.shared.bundle import (
    BUNDLE,
    WEIGHTS,
    ModelBundle,
    check_classes,
    check_input,
    load_network,
    read_bundle,
    save_bundle,
)
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    CnnSpec,
    HashTokenizer,
    ImageInput,
    MlpSpec,
    MobileNetSpec,
    ResidualMlpSpec,
    TabularInput,
    TextInput,
    TransformerSpec,
)
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.models import ModelSpec

IMAGE = ImageInput(kind="image", size=[1, 8, 8])
TEXT = TextInput(kind="text", length=5, tokenizer=HashTokenizer(buckets=9))
SCALE = Preprocessing(mean=[4.0], std=[2.0])
CLASSES = ["cat", "dog", "owl"]


def save(folder: Path, spec: ModelSpec, taken: InputSpec = IMAGE) -> tuple[ModelBundle, Classifier]:
    network = Classifier.build(spec, taken, SCALE, len(CLASSES))
    bundle = save_bundle(
        folder,
        network,
        role="teacher",
        model=spec,
        input=taken,
        preprocessing=SCALE,
        classes=CLASSES,
        seed=0,
        dataset_digest="d" * 64,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    )
    return bundle, network.eval()


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return save(tmp_path / "bundle", MlpSpec(family="mlp", hidden=[4]))[0]


@pytest.mark.parametrize(
    "spec",
    [
        MlpSpec(family="mlp", hidden=[16, 8], activation="relu", dropout=0.1),
        CnnSpec(family="cnn", channels=[4, 8], hidden=8, dropout=0.3),
        ResidualMlpSpec(family="residual_mlp", width=4, hidden=6, dropout=0.1),
        MobileNetSpec(family="mobilenet", channels=[4, 8], blocks=[2], head=8, width=0.5),
        TransformerSpec(family="transformer", dims=6, heads=3, layers=2, hidden=5),
    ],
    ids=lambda spec: spec.family,
)
def test_loaded_network_computes_what_the_saved_one_did(tmp_path: Path, spec: ModelSpec) -> None:
    taken = TEXT if spec.family == "transformer" else IMAGE
    saved, network = save(tmp_path / "bundle", spec, taken)
    loaded, again = load_network(tmp_path / "bundle")
    inputs = torch.rand(5, *taken.shape) * 9
    assert loaded == saved
    assert torch.equal(again(inputs), network(inputs))


def test_default_models_have_the_stated_sizes() -> None:
    student = Classifier.build(MlpSpec(family="mlp", hidden=[16]), IMAGE, SCALE, 10)
    teacher = Classifier.build(CnnSpec(family="cnn"), IMAGE, SCALE, 10)
    assert student.parameter_count == 1_210
    assert teacher.parameter_count == 52_138


def test_digest_depends_on_the_weights(tmp_path: Path, bundle: ModelBundle) -> None:
    other, _ = save(tmp_path / "other", MlpSpec(family="mlp", hidden=[4]))
    assert other.digest != bundle.digest
    assert read_bundle(tmp_path / "bundle").digest == bundle.digest


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("/tmp/kubedistill-was-here"),))  # type: ignore[return-value]  # noqa: S108


def test_weights_that_hold_code_are_refused_and_not_run(
    tmp_path: Path, bundle: ModelBundle
) -> None:
    (tmp_path / "bundle" / WEIGHTS).write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(UserError, match="pickled weights can run code"):
        load_network(tmp_path / "bundle")
    assert not Path("/tmp/kubedistill-was-here").exists()  # noqa: S108


def test_exchanged_weights_are_refused(tmp_path: Path, bundle: ModelBundle) -> None:
    save(tmp_path / "other", MlpSpec(family="mlp", hidden=[4]))
    (tmp_path / "other" / WEIGHTS).replace(tmp_path / "bundle" / WEIGHTS)
    with pytest.raises(UserError, match="not those that bundle.json describes"):
        load_network(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (BUNDLE, b"{", "not a valid bundle"),
        (BUNDLE, b'{"format_version": 2}', "format_version is 2, expected 1"),
        (BUNDLE, None, "has no bundle.json"),
        (WEIGHTS, None, "has no model.safetensors"),
    ],
)
def test_damaged_bundle_is_refused(
    tmp_path: Path, bundle: ModelBundle, name: str, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "bundle" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        load_network(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["cat", "dog"], "it has 3 classes, the data set 2"),
        (["cat", "dog", "emu"], "it knows owl, which the data set does not"),
        (["dog", "cat", "owl"], "the order differs: its output 0 is 'cat'"),
    ],
)
def test_teacher_of_other_classes_is_refused(
    bundle: ModelBundle, classes: list[str], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        check_classes(bundle, classes)
    check_classes(bundle, CLASSES)


def test_teacher_of_other_inputs_is_refused(bundle: ModelBundle) -> None:
    with pytest.raises(UserError, match=r"rows of shape \[1, 8, 8\], the data set has \[2\]"):
        check_input(bundle, TabularInput(columns=["a", "b"]))
    tabular = bundle.model_copy(update={"input": TabularInput(columns=["a", "b"])})
    with pytest.raises(UserError, match="takes the columns a, b, in this order"):
        check_input(tabular, TabularInput(columns=["b", "a"]))
    check_input(bundle, IMAGE)
