"""The training loop that teacher, student and baselines share."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from components.shared.bundle import CurvePoint
from components.shared.errors import UserError
from components.shared.events import Progress
from components.shared.networks import Classifier
from components.shared.recipe.models import TrainingSpec
from components.shared.training.augmentation import random_shift

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits of a batch, indices of its rows) -> scalar loss."""

_WARM_UP = 0.05
_CURVE_POINTS = 100


class Diverged(UserError):  # noqa: N818 - reads as an event
    """A loss was not finite."""

    def __init__(self, label: str, found: str, spec: TrainingSpec) -> None:
        self.found = found
        """The loss, and the step."""
        super().__init__(
            f"training of {label} diverged: {found}; lower training.learning_rate "
            f"(now {spec.learning_rate:g})"
        )


def fit(
    network: Classifier, inputs: Tensor, loss: Loss, spec: TrainingSpec, seed: int, label: str
) -> list[CurvePoint]:
    """Train ``network`` in place and leave it in evaluation mode.

    Args:
        network: a freshly initialised model.
        inputs: raw features on the model's device, shape (rows, \\*input shape).
        loss: objective; the indices tell it which targets belong to the batch.
        spec: length, batch size, optimizer and augmentation.
        seed: order of the rows and augmentation.
        label: what the progress events call this training.

    Returns:
        The learning curve, at most about 100 points.

    Raises:
        Diverged: the loss is not finite; training stops at that step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
    )
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, spec.steps))
    batches = BatchSampler(len(inputs), spec.batch_size, generator)
    progress = Progress(label, total=spec.steps, unit="steps")
    every = max(1, spec.steps // _CURVE_POINTS)
    curve: list[CurvePoint] = []
    running = 0.0
    network.train()
    for step in range(1, spec.steps + 1):
        rows = batches.next()
        batch = inputs[rows]
        if spec.shift:
            batch = random_shift(batch, spec.shift, generator)
        value = loss(network(batch), rows)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        current = value.item()
        if not math.isfinite(current):
            raise Diverged(label, f"the loss is {current} at step {step} of {spec.steps}", spec)
        running += current
        if step % every == 0:
            curve.append(CurvePoint(step=step, loss=running / every))
            running = 0.0
        progress.update(step, loss=round(current, 5))
    network.eval()
    return curve


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up over the first 5 % of the steps, then cosine decay to zero."""
    warm_up = max(1, int(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


class BatchSampler:
    """Endless batches of row indices: every epoch in a new order, short last batches left out."""

    def __init__(self, rows: int, batch_size: int, generator: torch.Generator) -> None:
        self._rows, self._size = rows, min(batch_size, rows)
        self._generator = generator
        self._order = torch.empty(0, dtype=torch.int64)
        self._position = rows

    def next(self) -> Tensor:
        """Indices of the next batch, shape (batch,)."""
        if self._position + self._size > self._rows:
            self._order = torch.randperm(self._rows, generator=self._generator)
            self._position = 0
        batch = self._order[self._position : self._position + self._size]
        self._position += self._size
        return batch
