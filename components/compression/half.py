"""Half precision."""

from pathlib import Path

import onnx

from components.compression.conversion import converting

_PREPROCESSING = "/0/preprocess/"
"""What the exporter puts before the names of the nodes of a classifier's preprocessing."""


def convert_to_half(model: Path, output: Path) -> None:
    """Convert weights and arithmetic to float16; input and output stay float32.

    Preprocessing stays float32, since raw features may lie beyond the 65,504 of float16, and codes
    and ids beyond the 2,048 up to which it has all whole numbers; sums over the tokens of a text
    do, which may be many; and softmax does, so that probabilities sum to one.

    Args:
        model: a float32 ONNX file.
        output: the file to write.

    Raises:
        FormNotMade: the converter failed.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    with converting("the conversion to float16"):
        loaded = onnx.load(model)
        own = {node.name for node in loaded.graph.node}
        converted = convert_float_to_float16(
            loaded,
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, "ReduceSum", "Div", "Softmax"],
            node_block_list=[name for name in own if name.startswith(_PREPROCESSING)],
        )
        _drop_detours(converted.graph, own)
        ordered = ONNXModel(converted)
        ordered.topological_sort()  # the converter appends its casts at the end
    onnx.save(ordered.model, output)


def _drop_detours(graph: onnx.GraphProto, own: set[str]) -> None:
    """Take out casts to float16 and straight back, which only lose digits, in place.

    The converter puts them between the model's input or output and operators that stay float32.

    Args:
        graph: of the converted model.
        own: names of the nodes that it had before; a cast among them is from another type.
    """
    makers = {name: node for node in graph.node for name in node.output}
    outputs = {value.name for value in graph.output}
    for back in [node for node in graph.node if _casts_to(node, onnx.TensorProto.FLOAT)]:
        there = makers.get(back.input[0])
        if there is None or there.name in own or not _casts_to(there, onnx.TensorProto.FLOAT16):
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
