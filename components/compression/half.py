"""Half precision."""

from pathlib import Path

import onnx

from components.compression.conversion import converting


def convert_to_half(model: Path, output: Path) -> None:
    """Convert weights and arithmetic to float16; input and output stay float32.

    Standardisation stays float32, since raw features may lie beyond the 65,504 of float16, and
    softmax does, so that probabilities sum to one.

    Args:
        model: a float32 ONNX file.
        output: the file to write.

    Raises:
        FormNotMade: the converter failed.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    with converting("the conversion to float16"):
        converted = convert_float_to_float16(
            onnx.load(model),
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, "Sub", "Div", "Softmax"],
        )
        _drop_detours(converted.graph)
        ordered = ONNXModel(converted)
        ordered.topological_sort()  # the converter appends its casts at the end
    onnx.save(ordered.model, output)


def _drop_detours(graph: onnx.GraphProto) -> None:
    """Take out casts to float16 and straight back, which only lose digits, in place.

    The converter puts them between the model's input or output and operators that stay float32.
    """
    makers = {name: node for node in graph.node for name in node.output}
    outputs = {value.name for value in graph.output}
    for back in [node for node in graph.node if _casts_to(node, onnx.TensorProto.FLOAT)]:
        there = makers.get(back.input[0])
        if there is None or not _casts_to(there, onnx.TensorProto.FLOAT16):
            continue
        kept, dropped = there.input[0], back.output[0]
        graph.node.remove(back)
        if dropped in outputs:
            kept, dropped = dropped, kept
        for node in graph.node:
            node.input[:] = [kept if name == dropped else name for name in node.input]
            node.output[:] = [kept if name == dropped else name for name in node.output]
    used = outputs | {name for node in graph.node for name in node.input}
    for node in [node for node in graph.node if not used & set(node.output)]:
        graph.node.remove(node)


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return bool(node.op_type == "Cast" and node.attribute[0].i == kind)
