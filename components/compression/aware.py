"""Quantisation-aware training: int8 rounding is simulated where the quantiser will round.

The forward pass rounds, the backward pass takes the rounding for the identity (Jacob et al., arXiv
1712.05877, section 3; straight-through estimator). Batch normalisation is folded into convolutions
first, as it is in the deployed file; that of a residual MLP is of rows, stays, and learns on.
"""

import copy
import operator
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils import parametrize

from components.shared.networks import Classifier

_SAME_SCALE = (nn.MaxPool2d, nn.Flatten, nn.Dropout, nn.Identity)
"""Layers that pass on values in the scale in which they came."""
_WEIGHTED = (nn.Conv2d, nn.Linear)


class AwareNetwork:
    """A student in two versions that share their weights: one to train and one to export."""

    def __init__(self, student: Classifier) -> None:
        """Fold batch normalisation and add the rounding.

        Args:
            student: the trained student, in evaluation mode; it is not changed.
        """
        preprocess = copy.deepcopy(student.preprocess)
        folded = cast(fx.GraphModule, fuse(student.body))
        self.rounding = Classifier(preprocess, _round_activations(folded))
        """Rounds weights and activations in every forward pass."""
        self._plain = Classifier(preprocess, folded)
        self._weighted = [part for part in folded.modules() if isinstance(part, _WEIGHTED)]
        for part in self._weighted:
            parametrize.register_parametrization(part, "weight", _RoundedWeight())

    def without_rounding(self) -> Classifier:
        """The version to export, in evaluation mode; ``rounding`` can no longer be trained."""
        for part in self._weighted:
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=False)
        return self._plain.eval()


class _RoundedWeight(nn.Module):
    """Int8, symmetric, one scale for each output channel: -127 to 127."""

    def forward(self, weight: Tensor) -> Tensor:
        largest = weight.detach().abs().flatten(start_dim=1).amax(dim=1)
        scale = (largest / 127).clamp(min=torch.finfo(weight.dtype).tiny)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        rounded: Tensor = torch.fake_quantize_per_channel_affine(
            weight, scale, zero, axis=0, quant_min=-127, quant_max=127
        )
        return rounded


def round_activations(values: Tensor) -> Tensor:
    """Uint8, one scale and zero point, from the smallest to the largest value of the batch.

    The quantiser takes the range of the calibration rows, of which a batch is a sample.
    """
    with torch.no_grad():
        low, high = values.amin().clamp(max=0), values.amax().clamp(min=0)
        scale = ((high - low) / 255).clamp(min=torch.finfo(values.dtype).tiny)
        zero = torch.round(-low / scale).to(torch.int32)
    rounded: Tensor = torch.fake_quantize_per_tensor_affine(
        values, scale, zero, quant_min=0, quant_max=255
    )
    return rounded


def _round_activations(folded: fx.GraphModule) -> fx.GraphModule:
    """The same network, sharing all parts of ``folded``, with its activations rounded."""
    graph = copy.deepcopy(folded.graph)
    parts = dict(folded.named_modules())
    for value in _rounded_values(graph, parts):
        users = list(value.users)
        with graph.inserting_after(value):
            rounded = graph.call_function(round_activations, (value,))
        for user in users:
            user.replace_input_with(value, rounded)
    return fx.GraphModule(folded, graph)


def _rounded_values(graph: fx.Graph, parts: dict[str, nn.Module]) -> list[fx.Node]:
    """The values that :func:`quantise_static` stores in int8.

    They are what convolutions and fully connected layers take, and what convolutions, average
    pooling and sums (between convolutions) put out; ReLU and what it is applied to are one
    operation.
    """
    values: dict[fx.Node, None] = {}
    sums = any(isinstance(part, nn.Conv2d) for part in parts.values())
    for node in graph.nodes:
        part = parts.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(part, _WEIGHTED):
            values[_source(node.all_input_nodes[0], parts)] = None
        is_sum = sums and node.target is operator.add
        if is_sum or isinstance(part, nn.Conv2d | nn.AdaptiveAvgPool2d):
            values[_activated(node, parts)] = None
    return list(values)


def _source(node: fx.Node, parts: dict[str, nn.Module]) -> fx.Node:
    """Where a value got its scale."""
    while node.op == "call_module" and isinstance(parts[str(node.target)], _SAME_SCALE):
        node = node.all_input_nodes[0]
    return node


def _activated(node: fx.Node, parts: dict[str, nn.Module]) -> fx.Node:
    """The ReLU that is applied to a value and nothing else, or the value."""
    users = list(node.users)
    if len(users) == 1 and isinstance(parts.get(str(users[0].target)), nn.ReLU | nn.ReLU6):
        return users[0]
    return node
