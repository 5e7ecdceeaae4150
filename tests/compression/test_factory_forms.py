"""Forms of a student that a user's own code makes, of which nothing is known."""

from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from torch import Tensor, nn

from components.compression.deploying import FormNotMade, write_deployable
from components.compression.forms import make_form
from components.compression.pruning import without_channels
from components.shared.networks import Classifier
from components.shared.recipe.compression import (
    Float16,
    Float32,
    Int8Aware,
    Int8Dynamic,
    Int8Static,
    Pruned,
)
from components.shared.recipe.outside_models import MODULES, FactorySpec
from tests.compression.conftest import IMAGE, PREPROCESSING, SPECS, Case, case_of

SPECS_OF_FORMS: list[Any] = [
    Float32(kind="float32"),
    Float16(kind="float16"),
    Int8Dynamic(kind="int8_dynamic"),
    Int8Static(kind="int8_static", rows=100),
    Int8Aware(kind="int8_qat", steps=5),
    Pruned(kind="pruned", structure="channels", steps=20, sparsity=0.5),
    Pruned(kind="pruned", structure="2:4", steps=5),
]


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv(MODULES, "tests.factories")
    monkeypatch.setitem(
        SPECS,
        "factory",
        FactorySpec(family="factory", factory="tests.factories:SmallCnn", arguments={"width": 32}),
    )
    return case_of("factory")


@pytest.mark.parametrize("spec", SPECS_OF_FORMS, ids=lambda spec: spec.name)
def test_every_form_is_made_and_follows_its_network(case: Case, tmp_path: Path, spec: Any) -> None:
    def make(path: Path) -> Any:
        return make_form(spec, case.student(), path)

    deployable, form, fidelity = write_deployable(
        tmp_path / "form", make, case.bundle, case.rows[:50], None
    )
    assert fidelity.agreement > 0.9
    session = ort.InferenceSession(tmp_path / "form" / "model.onnx")
    (found,) = session.run(None, {"input": case.rows})
    right = float((found.argmax(axis=1) == case.labels).mean())
    assert right > case.accuracy(case.network) - 0.15
    if spec.name.startswith("pruned_channels"):
        assert deployable.parameters < 0.6 * case.network.parameter_count
        assert form.network.body.head.out_features == 10  # which is listed first


class Folding(nn.Module):
    """It counts on the width of a layer in between."""

    def __init__(self) -> None:
        super().__init__()
        self.rise, self.head = nn.Linear(64, 64), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        folded = self.rise(images.flatten(start_dim=1)).reshape(-1, 8, 8)
        logits: Tensor = self.head(folded.mean(dim=2))
        return logits


def test_network_that_is_broken_without_its_channels_is_told() -> None:
    network = Classifier.build(SPECS["mlp"], IMAGE, PREPROCESSING, 10)
    network.body = Folding()
    with pytest.raises(FormNotMade, match="structured pruning failed with"):
        without_channels(network.eval(), 0.5)


class Branching(nn.Module):
    """It takes a way that no graph holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(start_dim=1))
        return -logits if logits.sum().isnan() else logits


def test_network_that_cannot_be_rounded_while_it_learns_is_told(tmp_path: Path) -> None:
    case = case_of("mlp")
    network = Classifier(case.network.preprocess, Branching()).eval()
    student = Case(network, case.rows, case.labels, case.bundle).student()
    with pytest.raises(FormNotMade, match="quantisation-aware training failed with"):
        make_form(Int8Aware(kind="int8_qat", steps=5), student, tmp_path / "m.onnx")
