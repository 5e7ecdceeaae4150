"""What a model that is not built in has to do, looked at before anything trains."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from components.shared.errors import UserError
from components.shared.networks.classifier import Classifier
from components.shared.networks.exporting import check_export

ROWS = 3
"""How many rows a model is checked with."""
_TOLERANCE = 1e-3
"""Largest difference of a logit that rounding explains, in units of the largest logit."""


def check_model(build: Callable[[], Classifier], inputs: Tensor, classes: int) -> None:
    """Refuse a model that could not be trained, kept, or deployed.

    It has to give one finite logit a class, of each row on its own; to have weights that learn, and
    that torch's seed decides; and to be exported to ONNX for any number of rows. Torch's random
    numbers are as before afterwards.

    Args:
        build: makes the model, on the device of the inputs.
        inputs: some raw rows of the data, shape (rows, \\*input shape), at most :data:`ROWS`.
        classes: how many there are.

    Raises:
        UserError: what the model does not do.
    """
    devices = [inputs.device] if inputs.is_cuda else []
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, whose result is checked
        torch.manual_seed(0)
        network = build()
        torch.manual_seed(0)
        _check_seeded(network, build())
        network.eval()
        logits = _logits(network, inputs)
        _check_logits(logits, len(inputs), classes)
        _check_alone(network, inputs, logits)
        _check_learns(network, inputs)
        _check_any_rows(network, inputs, logits)
        with _told("cannot be exported to ONNX"):
            check_export(network.cpu())


def _check_seeded(one: Classifier, other: Classifier) -> None:
    first, second = one.state_dict(), other.state_dict()
    for name, tensor in first.items():
        if name not in second or not torch.equal(tensor, second[name]):
            raise UserError(
                f"model: {name} has other values each time the model is made; draw them by torch, "
                "whose seed is the run's, and by nothing else"
            )


@torch.no_grad()
def _logits(network: Classifier, inputs: Tensor) -> Any:
    with _told(f"fails on {len(inputs)} rows of the data"):
        return network(inputs)


def _check_logits(logits: Any, rows: int, classes: int) -> None:
    if not isinstance(logits, Tensor):
        raise UserError(f"model: it gives a {type(logits).__name__}, not a tensor of logits")
    if logits.shape != (rows, classes):
        raise UserError(
            f"model: it gives a tensor of shape {list(logits.shape)} for {rows} rows, not "
            f"{[rows, classes]}: one logit for each class"
        )
    if logits.dtype != torch.float32:
        raise UserError(f"model: its logits are {logits.dtype}, not torch.float32")
    if not logits.isfinite().all():
        raise UserError(f"model: some of its logits for {rows} rows of the data are not finite")


def _check_alone(network: Classifier, inputs: Tensor, logits: Tensor) -> None:
    for row, expected in enumerate(logits):
        alone = _logits(network, inputs[row : row + 1])
        if alone.shape != (1, len(expected)):
            raise UserError(
                f"model: it gives a tensor of shape {list(alone.shape)} for one row, not "
                f"{[1, len(expected)]}"
            )
        if _differ(alone[0], expected):
            raise UserError(
                "model: the logits of a row depend on the rows beside it, in evaluation mode too"
            )


def _check_learns(network: Classifier, inputs: Tensor) -> None:
    learner = copy.deepcopy(network).train()
    twice = torch.cat([inputs, inputs])  # batch normalisation takes no single row
    with _told("fails in training mode"):
        learner(twice).logsumexp(dim=1).sum().backward()
    gradients = [weight.grad for weight in learner.parameters() if weight.grad is not None]
    if not any(bool(gradient.any()) for gradient in gradients):
        raise UserError("model: none of its weights gets a gradient, so that it cannot learn")


def _check_any_rows(network: Classifier, inputs: Tensor, logits: Tensor) -> None:
    """A file holds the operations that some rows took; others must take the same."""
    if len(inputs) == 1:
        inputs, logits = torch.cat([inputs, inputs]), torch.cat([logits, logits])
    with _told("cannot be exported to ONNX"), torch.no_grad():
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            network, (inputs[:1],), check_trace=False
        )
    try:
        with torch.no_grad():
            found = traced(inputs)
    except RuntimeError as error:
        found = error
    if not isinstance(found, Tensor) or found.shape != logits.shape or _differ(found, logits):
        raise UserError(
            "model: its operations depend, in Python, on the number of rows or on their values, "
            "which no ONNX file can hold"
        )


def _differ(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() > _TOLERANCE * (1 + other.abs().max()))


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise UserError(f"model: it {what}, with {type(error).__name__}: {reason}") from error
