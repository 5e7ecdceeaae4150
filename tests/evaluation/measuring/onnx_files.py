"""Small ONNX files for the tests of latency and footprint."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from components.shared.deployable import INPUT_NAME, OUTPUT_NAME


def write_layers(
    path: Path, widths: list[int], input_name: str = INPUT_NAME, output_name: str = OUTPUT_NAME
) -> Path:
    """Matrix products from one width to the next; takes and gives float32 (rows, width)."""
    names = [input_name, *(f"hidden{layer}" for layer in range(len(widths) - 2)), output_name]
    pairs = list(pairwise(widths))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [names[layer], f"weights{layer}"], [names[layer + 1]])
            for layer in range(len(pairs))
        ],
        "layers",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["rows", widths[0]])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["rows", widths[-1]])],
        [
            numpy_helper.from_array(np.full(shape, 1e-3, np.float32), f"weights{layer}")
            for layer, shape in enumerate(pairs)
        ],
    )
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path
    )
    return path
