"""Any ONNX classifier in the form in which models are deployed: raw rows in, probabilities out.

What the model wants done to a row, and what its output needs to become probabilities in the order
of the data set's classes, is added to the graph.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from components.shared.deployable import INPUT_NAME, LOGITS_NAME, OUTPUT_NAME
from components.shared.errors import UserError
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.teacher import OutputKind
from components.soft_labels.teachers.layout import Layout, layout_for

_PREFIX = "teacher/"
_LEAST_OPSET = 7
"""From here on elements of different shapes are combined as in NumPy."""
_OWN_OPSET, _OWN_IR = 13, 7
"""Where the model has no operator of ONNX's own, but only those of ONNX-ML, as trees may."""
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
_NUMBERS = (*_FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8)
_ROWS = "rows"


@dataclass(frozen=True)
class Ends:
    """The tensors of a model that count."""

    input: str
    input_type: int
    layout: Layout
    fixed_rows: int | None
    """Rows of a call, where the model names a number."""
    output: str


@dataclass
class _Chain:
    """Nodes one after the other."""

    value: str
    """Name of what the last node gives."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def then(self, operator: str, *further: str, **attributes: Any) -> "_Chain":
        name = f"kubedistill/{operator.lower()}_{self.value.replace('/', '_')}"
        node = helper.make_node(operator, [self.value, *further], [name], name, **attributes)
        self.nodes.append(node)
        self.value = name
        return self

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        name = f"kubedistill/{name}"
        tensor = numpy_helper.from_array(value, name)
        self.nodes.append(helper.make_node("Constant", [], [name], name, value=tensor))
        return name


def find_ends(
    model: onnx.ModelProto, input_name: str, output_name: str, shape: tuple[int, ...], classes: int
) -> Ends:
    """The input that takes rows, and the output that gives a number for each class.

    Args:
        model: the classifier.
        input_name: name of the input; empty where there is one.
        output_name: name of the output; empty where only one is of the shape (rows, classes).
        shape: of a row in the data.
        classes: how many there are.

    Raises:
        UserError: they cannot be told, or are not of these shapes.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    chosen = _pick(inputs, input_name, "input")
    if len(inputs) > 1:
        others = ", ".join(value.name for value in inputs if value.name != chosen.name)
        raise UserError(f"the ONNX model takes {others} too, which the data set does not have")
    kind = chosen.type.tensor_type.elem_type
    if kind not in _NUMBERS:
        raise UserError(f"the ONNX model's input {chosen.name} does not take numbers")
    lengths = _lengths(chosen)
    layout = layout_for(None if lengths is None else lengths[1:], shape, "the ONNX model")
    rows = lengths[0] if lengths else -1
    fitting = [value for value in model.graph.output if _could_be(value, classes)]
    output = _pick(model.graph.output if output_name else fitting, output_name, "output")
    if not _could_be(output, classes):
        raise UserError(
            f"the ONNX model's output {output.name} has the shape {_lengths(output)}; the data set "
            f"has {classes} classes, for each of which the teacher has to give a number"
        )
    return Ends(chosen.name, kind, layout, rows if rows > 0 else None, output.name)


def deployed_form(
    model: onnx.ModelProto,
    ends: Ends,
    shape: tuple[int, ...],
    gives: OutputKind,
    order: npt.NDArray[np.int64],
    preprocessing: Preprocessing | None,
) -> onnx.ModelProto:
    """The same classifier with input ``input`` and output ``probabilities``; and ``logits``, where
    it gives them.

    Args:
        model: the classifier.
        ends: of it.
        shape: of a row in the data.
        gives: what its output holds.
        order: position among its outputs of each of the data set's classes.
        preprocessing: what is done to rows before it gets them.

    Raises:
        UserError: the model is too old.
    """
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    added = [] if "ai.onnx" in opsets else [helper.make_opsetid("", _OWN_OPSET)]
    opset = opsets.get("ai.onnx", _OWN_OPSET)
    if opset < _LEAST_OPSET:
        raise UserError(f"the ONNX model is of opset {opset}; {_LEAST_OPSET} or more is needed")
    inner = compose.add_prefix(model, _PREFIX)
    before = _before(ends, shape, preprocessing, _PREFIX + ends.input)
    after, outputs = _after(_PREFIX + ends.output, gives, order)
    graph = helper.make_graph(
        [*before, *inner.graph.node, *after],
        "teacher",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [_ROWS, *shape])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [_ROWS, len(order)])
            for name in outputs
        ],
        inner.graph.initializer,
        sparse_initializer=inner.graph.sparse_initializer,
    )
    return helper.make_model(
        graph,
        # Before 4, weights had to be inputs too.
        ir_version=max(inner.ir_version, _OWN_IR if added else 4),
        opset_imports=[*inner.opset_import, *added],
        functions=inner.functions,
    )


def parameter_count(model: onnx.ModelProto) -> int:
    """Numbers among the model's weights."""
    return sum(
        int(np.prod(tensor.dims)) for tensor in model.graph.initializer if len(tensor.dims) > 0
    )


def _before(
    ends: Ends, shape: tuple[int, ...], preprocessing: Preprocessing | None, target: str
) -> list[onnx.NodeProto]:
    chain = _Chain(INPUT_NAME)
    if preprocessing is not None:
        lengths = (-1, *(1 for _ in shape[1:]))
        mean = np.asarray(preprocessing.mean, np.float32).reshape(lengths)
        std = np.asarray(preprocessing.std, np.float32).reshape(lengths)
        chain.then("Sub", chain.constant("mean", mean))
        chain.then("Div", chain.constant("std", std))
    if ends.layout.channels_last:
        chain.then("Transpose", perm=[0, 2, 3, 1])
    elif ends.layout.shape != shape:
        row_shape = np.asarray([-1, *ends.layout.shape], np.int64)
        chain.then("Reshape", chain.constant("row_shape", row_shape))
    if ends.input_type != TensorProto.FLOAT:
        chain.then("Cast", to=ends.input_type)
    return [*chain.nodes, helper.make_node("Identity", [chain.value], [target])]


def _after(
    value: str, gives: OutputKind, order: npt.NDArray[np.int64]
) -> tuple[list[onnx.NodeProto], list[str]]:
    chain = _Chain(value).then("Cast", to=TensorProto.FLOAT)
    if not np.array_equal(order, np.arange(len(order))):
        chain.then("Gather", chain.constant("class_order", order), axis=1)
    if gives == "probabilities":
        return [*chain.nodes, helper.make_node("Identity", [chain.value], [OUTPUT_NAME])], [
            OUTPUT_NAME
        ]
    ends = [
        helper.make_node("Identity", [chain.value], [LOGITS_NAME]),
        helper.make_node("Softmax", [chain.value], [OUTPUT_NAME], axis=1),
    ]
    return [*chain.nodes, *ends], [OUTPUT_NAME, LOGITS_NAME]


def _pick(values: Any, name: str, what: str) -> onnx.ValueInfoProto:
    known = [value.name for value in values]
    if name:
        if name not in known:
            raise UserError(
                f"teacher.{what}_name: the ONNX model has no {what} {name!r}; it has "
                f"{', '.join(known)}"
            )
        return next(value for value in values if value.name == name)
    if not known:
        raise UserError(f"the ONNX model has no {what} that could be the teacher's")
    if len(known) > 1:
        raise UserError(
            f"the ONNX model has the {what}s {', '.join(known)}; name one in teacher.{what}_name"
        )
    return next(iter(values))


def _could_be(value: onnx.ValueInfoProto, classes: int) -> bool:
    """Whether it gives a number a class."""
    if value.type.tensor_type.elem_type not in _FLOATS:
        return False
    lengths = _lengths(value)
    return lengths is None or (len(lengths) == 2 and lengths[1] in (-1, classes))


def _lengths(value: onnx.ValueInfoProto) -> list[int] | None:
    """Of a tensor's axes, -1 where any will do; null where the model does not say."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [axis.dim_value if axis.HasField("dim_value") else -1 for axis in kind.shape.dim]
