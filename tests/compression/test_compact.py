from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from components.compression.compact import compact
from components.compression.quantise import quantise_static
from components.shared.networks.exporting import export_onnx
from tests.compression.conftest import Case, case_of


def test_model_without_names_computes_the_same_in_fewer_bytes(tmp_path: Path, case: Case) -> None:
    export_onnx(case.network, tmp_path / "float.onnx")
    quantise_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", case.rows[:100], "minmax")
    model = onnx.load(tmp_path / "int8.onnx")
    before = ort.InferenceSession(model.SerializeToString())
    size = model.ByteSize()
    compact(model)
    onnx.checker.check_model(model)
    after = ort.InferenceSession(model.SerializeToString())
    (expected,), (found,) = (s.run(None, {"input": case.rows}) for s in (before, after))
    np.testing.assert_array_equal(found, expected)
    assert model.ByteSize() < size - 2_000
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["probabilities"]


def test_constants_that_nothing_takes_any_more_are_dropped(tmp_path: Path) -> None:
    """Limits of ReLU6, whose work the rounding of int8 does."""
    case = case_of("mobilenet")
    export_onnx(case.network, tmp_path / "float.onnx")
    quantise_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", case.rows[:100], "minmax")
    model = onnx.load(tmp_path / "int8.onnx")
    assert any(node.op_type == "Constant" for node in model.graph.node)
    compact(model)
    assert not any(node.op_type == "Constant" for node in model.graph.node)


def test_models_that_differ_in_names_alone_become_the_same_bytes() -> None:
    def model(prefix: str) -> onnx.ModelProto:
        weight = onnx.numpy_helper.from_array(np.eye(2, dtype=np.float32), f"{prefix}weight")
        bias = onnx.numpy_helper.from_array(np.ones(2, dtype=np.float32), f"{prefix}bias")
        nodes = [
            onnx.helper.make_node("MatMul", ["input", weight.name], [f"{prefix}x"], name=prefix),
            onnx.helper.make_node("Add", [f"{prefix}x", bias.name], ["probabilities"]),
        ]
        value = onnx.helper.make_tensor_value_info
        given = value("input", onnx.TensorProto.FLOAT, ["rows", 2])
        taken = value("probabilities", onnx.TensorProto.FLOAT, ["rows", 2])
        ordered = [weight, bias] if prefix == "a" else [bias, weight]
        return onnx.helper.make_model(
            onnx.helper.make_graph(nodes, "graph", [given], [taken], ordered)
        )

    first, second = model("a"), model("b")
    assert first.SerializeToString() != second.SerializeToString()
    compact(first)
    compact(second)
    assert first.SerializeToString() == second.SerializeToString()
