from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.compression.deploying import compare
from components.shared.networks import Classifier
from components.shared.networks.exporting import export_onnx
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, HashTokenizer, ImageInput, TabularInput, TextInput
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.models import (
    MobileNetSpec,
    ModelSpec,
    ResidualMlpSpec,
    TransformerSpec,
)
from tests.compression.conftest import Case


def test_onnx_file_gives_torchs_probabilities_for_raw_rows(tmp_path: Path, case: Case) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(["probabilities"], {"input": case.rows})
    expected = case.network(torch.from_numpy(case.rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_any_number_of_rows_can_be_asked_for(tmp_path: Path, case: Case) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    for count in (1, 7, 40):
        assert session.run(None, {"input": case.rows[:count]})[0].shape == (count, 10)


def test_each_channel_is_standardised_by_its_own_mean_and_deviation(tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0])
    torch.manual_seed(0)
    network = Classifier.build(
        CnnSpec(family="cnn", channels=[4, 8], hidden=8),
        ImageInput(kind="image", size=[3, 12, 10]),
        preprocessing,
        3,
    ).eval()
    rows = np.random.default_rng(0).integers(0, 256, size=(40, 3, 12, 10)).astype(np.float32)
    export_onnx(network, tmp_path / "m.onnx")
    (found,) = ort.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"input": rows})
    expected = network(torch.from_numpy(rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


few = st.integers(1, 3)


@st.composite
def residual_mlps(draw: Any) -> tuple[ModelSpec, InputSpec]:
    spec = ResidualMlpSpec(
        family="residual_mlp", width=draw(st.integers(1, 9)), blocks=draw(few), hidden=draw(few)
    )
    return spec, TabularInput(columns=[f"c{column}" for column in range(draw(few))])


@st.composite
def mobilenets(draw: Any) -> tuple[ModelSpec, InputSpec]:
    spec = MobileNetSpec(
        family="mobilenet",
        stem=draw(st.sampled_from([4, 8])),
        channels=draw(st.lists(st.sampled_from([4, 8]), min_size=1, max_size=3)),
        blocks=[draw(few)],
        expansion=draw(few),
        head=8,
        width=draw(st.sampled_from([0.5, 1.0])),
    )
    size = [draw(few), draw(st.integers(1, 9)), draw(st.integers(1, 9))]
    return spec, ImageInput(kind="image", size=size)


@st.composite
def transformers(draw: Any) -> tuple[ModelSpec, InputSpec]:
    heads = draw(few)
    spec = TransformerSpec(
        family="transformer",
        dims=heads * draw(few),
        heads=heads,
        layers=draw(few),
        hidden=draw(few),
    )
    length = draw(st.integers(1, 12))
    tokenizer = HashTokenizer(buckets=20)
    return spec, TextInput(kind="text", length=length, tokenizer=tokenizer)


def rows_for(taken: InputSpec, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    if isinstance(taken, TextInput):
        ids = torch.randint(1, 21, (count, taken.length), generator=generator)
        lengths = torch.arange(count)[:, None] % (taken.length + 1)  # from a text without a token
        return (ids * (torch.arange(taken.length) < lengths)).float()
    return torch.randn(count, *taken.shape, generator=generator) * 4


@settings(max_examples=15)
@given(st.one_of(residual_mlps(), mobilenets(), transformers()), st.integers(0, 2**31 - 1))
def test_model_of_any_size_is_exported_as_it_computes(
    described: tuple[ModelSpec, InputSpec], seed: int
) -> None:
    model, taken = described
    torch.manual_seed(seed)
    columns = 0 if isinstance(taken, TextInput) else taken.shape[0]
    scale = Preprocessing(mean=[1.0] * columns, std=[3.0] * columns)
    network = Classifier.build(model, taken, scale, 3)
    network(rows_for(taken, 20))  # running statistics that are not those of the start
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    network.eval()
    with TemporaryDirectory() as folder:
        export_onnx(network, Path(folder) / "m.onnx")
        for count in (1, 7, 20):
            rows = rows_for(taken, count).numpy()
            assert compare(network, Path(folder) / "m.onnx", rows).max_difference < 1e-5
