"""Int8, by ONNX Runtime's quantiser.

Preprocessing, GELU, tanh, softmax, normalisation of rows and tokens, and the products of attention
stay float32. Weights are int8, symmetric, one scale for
each output channel; activations are uint8, one scale and zero point for each tensor. With int8
activations ONNX Runtime leaves most residual blocks in float32: no faster, where uint8 makes them
three times as fast (measured with 1.31). x86 CPUs without VNNI add products of uint8 and int8 in 16
bits, which may saturate; the evaluation has to run on the kind of CPU that will serve.
"""

from pathlib import Path

import onnx
from onnxruntime.quantization import QDQQuantizer, QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from components.compression.calibration import activation_ranges
from components.compression.conversion import converting
from components.compression.deploying import Inputs

_OPERATORS = ["Conv", "Gemm", "Relu", "Clip", "MaxPool", "GlobalAveragePool", "Flatten"]
_SUM = "Add"
"""Between convolutions only, which take and give int8 on either side. What fully connected layers
add up is float32, and goes on as that to a normalisation that takes nothing else."""
_LOOKUP = "Gather"
"""Of the vectors of tokens, which are most of a text model; their range follows from themselves.
Where it chooses columns of a row, the quantiser leaves it alone."""


def quantise_dynamic(model: Path, output: Path) -> None:
    """Int8 weights of the fully connected layers and vectors of tokens; activations are quantised
    at every call.

    Convolutions stay float32: ONNX Runtime's integer convolution with ranges of the moment took
    four to seven times as long as the float one (measured with 1.31 on AVX-512 VNNI).

    Args:
        model: a float32 ONNX file.
        output: the file to write.

    Raises:
        FormNotMade: the quantiser failed.
    """
    with converting("dynamic quantisation"):
        loaded = onnx.load(model)
        # The exporter has folded all that preprocessing would fold.
        add_pre_process_metadata(loaded)
        quantize_dynamic(
            loaded,
            output,
            # Gemm is split into MatMul and Add first.
            op_types_to_quantize=["MatMul", _LOOKUP],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )


def quantise_static(model: Path, output: Path, calibration: Inputs, ranges: str) -> None:
    """Int8 weights and activations, in ONNX's QDQ format.

    What a fully connected layer puts out is left as float32, which costs nothing: the logits keep
    their precision, and GELU and tanh take float32 anyway.

    Args:
        model: a float32 ONNX file.
        output: the file to write.
        calibration: raw rows from which the ranges of activations follow, shape
            (rows, \\*input shape).
        ranges: ``minmax``, ``entropy`` or ``percentile``, see :func:`activation_ranges`.

    Raises:
        FormNotMade: the quantiser failed.
    """
    with converting("static quantisation"):
        loaded = onnx.load(model)
        sums = [_SUM] if any(node.op_type == "Conv" for node in loaded.graph.node) else []
        operators = [*_OPERATORS, *sums]
        quantizer = QDQQuantizer(
            onnx.shape_inference.infer_shapes(loaded),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=activation_ranges(model, operators, calibration, ranges),
            nodes_to_quantize=[],
            nodes_to_exclude=[],
            op_types_to_quantize=[*operators, _LOOKUP],
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(output))
