from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from components.compression.deploying import FormNotMade
from components.compression.half import convert_to_half
from components.compression.quantise import quantise_dynamic, quantise_static
from components.shared.networks import Classifier
from components.shared.networks.exporting import export_onnx
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import MlpSpec, TabularInput
from tests.compression.conftest import Case


@pytest.fixture
def exported(tmp_path: Path, case: Case) -> Path:
    export_onnx(case.network, tmp_path / "float.onnx")
    return tmp_path / "float.onnx"


def operators_that_run(path: Path) -> Counter[str]:
    """Operators of the graph that ONNX Runtime makes of the file."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    return Counter(node.op_type for node in nodes)


def test_static_int8_runs_every_convolution_and_layer_in_integers(
    tmp_path: Path, case: Case, exported: Path
) -> None:
    quantise_static(exported, tmp_path / "int8.onnx", case.rows[:100], "minmax")
    written = Counter(node.op_type for node in onnx.load(exported).graph.node)
    running = operators_that_run(tmp_path / "int8.onnx")
    assert running["QLinearConv"] == written["Conv"]
    assert running["QGemm"] == written["Gemm"]
    floats = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"}
    if written["Conv"]:
        assert running["QLinearAdd"] == written["Add"]
        floats |= {"Add", "Clip", "Relu"}
    assert not floats & running.keys()


def test_standardisation_and_softmax_stay_float(tmp_path: Path, case: Case, exported: Path) -> None:
    quantise_static(exported, tmp_path / "int8.onnx", case.rows[:100], "minmax")
    quantise_dynamic(exported, tmp_path / "dynamic.onnx")
    convert_to_half(exported, tmp_path / "half.onnx")
    for name in ("int8", "dynamic", "half"):
        graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / f"{name}.onnx")).graph
        types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
        subtract, divide, softmax = (
            node for node in graph.node if node.op_type in ("Sub", "Div", "Softmax")
        )
        kept = [subtract.output[0], divide.output[0], softmax.output[0]]
        assert {types[value] for value in kept} == {onnx.TensorProto.FLOAT}
        assert subtract.input[0] == "input"
        assert divide.input[0] == subtract.output[0]
        assert softmax.output[0] == "probabilities"
        makers = {output: node.op_type for node in graph.node for output in node.output}
        assert makers[softmax.input[0]] != "DequantizeLinear"  # logits are not rounded to 8 bits


def test_float16_takes_raw_features_beyond_its_range(tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=[1e6, 0.0], std=[1e5, 1.0])
    torch.manual_seed(0)
    network = Classifier.build(
        MlpSpec(family="mlp", hidden=[8]), TabularInput(columns=["a", "b"]), preprocessing, 3
    ).eval()
    rows = (np.random.default_rng(0).normal(size=(50, 2)) * [1e5, 1] + [1e6, 0]).astype(np.float32)
    export_onnx(network, tmp_path / "float.onnx")
    convert_to_half(tmp_path / "float.onnx", tmp_path / "half.onnx")
    (found,) = ort.InferenceSession(str(tmp_path / "half.onnx")).run(None, {"input": rows})
    expected = network(torch.from_numpy(rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_dynamic_int8_leaves_convolutions_alone(tmp_path: Path, exported: Path) -> None:
    quantise_dynamic(exported, tmp_path / "int8.onnx")
    before = Counter(node.op_type for node in onnx.load(exported).graph.node)
    after = Counter(node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node)
    assert after["Conv"] == before["Conv"]
    assert after["MatMulInteger"] == before["Gemm"]
    assert after["ConvInteger"] == after["Gemm"] == after["MatMul"] == 0


def test_what_a_library_cannot_convert_is_a_form_that_is_not_made(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    rows = np.zeros((4, 3), dtype=np.float32)
    for message, convert in {
        "static quantisation failed with DecodeError": lambda: quantise_static(
            broken, tmp_path / "out.onnx", rows, "minmax"
        ),
        "dynamic quantisation failed with": lambda: quantise_dynamic(broken, tmp_path / "out.onnx"),
        "conversion to float16 failed with": lambda: convert_to_half(broken, tmp_path / "out.onnx"),
    }.items():
        with pytest.raises(FormNotMade, match=message):
            convert()
    assert not (tmp_path / "out.onnx").exists()
