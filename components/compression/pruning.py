"""Removing weights by their size."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from components.compression.conversion import converting
from components.shared.networks import Attention, Classifier, Encoder, FeedForward

_WEIGHTED = (nn.Conv2d, nn.Linear)
_BLOCK = 16
"""Channels that ONNX Runtime's convolutions compute together. A residual network with 22, 45 and 90
channels took 1.20 ms, one with 16, 48 and 96 took 0.63 ms (measured with 1.31 on AVX-512)."""


def without_channels(student: Classifier, sparsity: float) -> Classifier:
    """A copy of the student without the units and channels of the smallest weights.

    Layers that are tied by a sum lose the same channels; the classes stay. The size of a channel is
    the L2 norm of all weights that go with it (group magnitude, Fang et al., arXiv 2301.12900). Of
    a transformer only the units inside feed-forward parts go: heads are of one width, and without
    some of a token's values its normalisation would be another.

    Args:
        student: the trained student, on the CPU; it is not changed.
        sparsity: share to remove in each layer, 0 to 1. Where convolutions would keep more than
            16 channels, they keep the nearest multiple of 16.

    Raises:
        FormNotMade: the network's structure is not understood.
    """
    import torch_pruning as tp

    pruned = copy.deepcopy(student)
    example = torch.zeros(2, *student.preprocess.input_shape)
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    with converting("structured pruning"):
        graph = tp.DependencyGraph().build_dependency(
            pruned, example_inputs=example, unwrapped_parameters=_positions(pruned)
        )
        kept = [_last(pruned, example), *_of_tokens(pruned)]
        groups = graph.get_all_groups(ignored_layers=kept, root_module_types=list(_WEIGHTED))
        for group in groups:
            sizes = importance(group)
            remaining = kept_channels(
                len(sizes), sparsity, any(isinstance(d.layer, nn.Conv2d) for d, _ in group)
            )
            smallest = torch.argsort(sizes, stable=True)[: len(sizes) - remaining]
            if len(smallest):
                group.prune(idxs=smallest.tolist())
        with torch.no_grad():
            before, after = student(example).shape, pruned(example).shape
        if after != before:
            raise ValueError(f"what is left gives {list(after)} for 2 rows, not {list(before)}")
    return pruned.eval()


def kept_channels(channels: int, sparsity: float, convolution: bool) -> int:
    """How many channels of a layer are left.

    Args:
        channels: how many it has.
        sparsity: share to remove.
        convolution: whether blocks of 16 matter to it.
    """
    exact = max(1.0, channels * (1 - sparsity))
    if not convolution or exact <= _BLOCK:
        return _rounded(exact)
    return min(channels, _BLOCK * _rounded(exact / _BLOCK))


def _rounded(value: float) -> int:
    """To the nearest whole number, halves up; Python's ``round`` takes them to the even one."""
    return math.floor(value + 0.5)


@contextmanager
def masked(network: Classifier, structure: str, sparsity: float) -> Iterator[None]:
    """Set the smallest weights to zero, and keep them there while ``network`` is trained inside.

    Args:
        network: is changed in place.
        structure: ``2:4``, or ``unstructured``, where the smallest weights of all layers together
            go.
        sparsity: share of the weights for ``unstructured``, 0 to 1.
    """
    layers = _weighted(network)
    if structure == "2:4":
        for layer in layers:
            mask = two_of_four(layer.weight.detach())
            prune.custom_from_mask(layer, "weight", mask)  # type: ignore[no-untyped-call]
    else:
        weights = [(layer, "weight") for layer in layers]
        prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=sparsity)
    yield
    for layer in layers:
        prune.remove(layer, "weight")  # type: ignore[no-untyped-call]


def two_of_four(weight: Tensor) -> Tensor:
    """Mask that keeps the larger two of each four weights along the inputs of a layer.

    Layers whose inputs are not a multiple of four stay whole, as the hardware that makes use of
    this wants it (Mishra et al., arXiv 2104.08378).

    Args:
        weight: shape (outputs, inputs, ...).

    Returns:
        Ones and zeros, of the same shape.
    """
    if weight.shape[1] % 4:
        return torch.ones_like(weight)
    last = weight.movedim(1, -1)
    groups = last.abs().reshape(-1, 4)
    mask = torch.zeros_like(groups)
    mask.scatter_(1, groups.topk(2, dim=1).indices, 1.0)
    return mask.reshape(last.shape).movedim(-1, 1)


def nonzero_parameters(network: Classifier) -> int:
    """Parameters that are not zero."""
    return sum(int(torch.count_nonzero(parameter)) for parameter in network.parameters())


def _positions(network: Classifier) -> list[tuple[nn.Parameter, int]]:
    """Weights that are of no layer, each with the axis of its channels."""
    return [(part.positions, 1) for part in network.modules() if isinstance(part, Encoder)]


def _of_tokens(network: Classifier) -> list[nn.Linear]:
    """Layers of transformers that put out heads, or what is added to tokens."""
    layers: list[nn.Linear] = []
    for part in network.modules():
        if isinstance(part, Attention):
            layers += [part.query, part.key, part.value, part.output]
        if isinstance(part, FeedForward):
            layers.append(part.output)
    return layers


def _last(network: Classifier, example: Tensor) -> nn.Module:
    """The layer that makes the logits: the last to be called."""
    called: list[nn.Module] = []
    hooks = [
        part.register_forward_hook(lambda module, _inputs, _outputs: called.append(module))
        for part in _weighted(network)
    ]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return called[-1]


def _weighted(network: Classifier) -> list[nn.Conv2d | nn.Linear]:
    return [part for part in network.modules() if isinstance(part, _WEIGHTED)]
