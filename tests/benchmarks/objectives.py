"""What the objective costs of a training step, for each response method.

A step is that of the trainer on rows in memory; the objective is its value and its gradient with
respect to the logits. Both in turn on one thread, in its time on the processor, so that neither a
machine that drifts nor another process counts.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import MlpSpec, TabularInput, TrainingSpec
from components.shared.recipe.objectives import RESPONSE_NAMES, Objectives
from components.shared.training.objectives import DistillationLoss
from components.shared.training.rows import Batch, MemoryRows
from components.shared.training.trainer import fit
from tests.benchmarks.repeatable import repeatable
from tests.benchmarks.results import Result, dearest, result

ROWS, COLUMNS, CLASSES = 8192, 64, 10
STUDENT = MlpSpec(family="mlp", hidden=[512, 512])
SPEC = TrainingSpec(steps=40, batch_size=512, learning_rate=1e-3)
METHODS: dict[str, Any] = {
    **{name: name for name in RESPONSE_NAMES},
    "kd with standardise": {"kind": "kd", "standardise": True},
}
REPETITIONS = 3


def _rows() -> MemoryRows:
    """Random numbers, half of them labelled, with a teacher's logits."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (ROWS,), generator=generator)
    return MemoryRows(
        torch.randn(ROWS, COLUMNS, generator=generator),
        torch.where(torch.arange(ROWS) % 2 > 0, labels, -1),
        (torch.randn(ROWS, CLASSES, generator=generator) * 3,),
        torch.arange(ROWS),
    )


def _seconds_of_steps(rows: MemoryRows, loss: DistillationLoss) -> float:
    torch.manual_seed(0)
    columns = [f"x{number}" for number in range(COLUMNS)]
    network = Classifier.build(
        STUDENT,
        TabularInput(kind="tabular", columns=columns),
        Preprocessing(mean=[0.0] * COLUMNS, std=[1.0] * COLUMNS),
        CLASSES,
    )
    started = time.process_time()
    fit(network, rows, loss, SPEC, seed=0, label="benchmark")
    return time.process_time() - started


def _seconds_of_objective(batch: Batch, loss: DistillationLoss) -> float:
    logits = torch.randn(SPEC.batch_size, CLASSES, requires_grad=True)
    started = time.process_time()
    for step in range(SPEC.steps):
        torch.autograd.grad(loss(logits, batch, step / SPEC.steps), logits)
    return time.process_time() - started


def figures() -> list[Result]:
    """Of the method that costs most; the figure is the median over the turns."""
    rows = _rows()
    batch = rows.batch(slice(0, SPEC.batch_size), 0)
    adapter: TypeAdapter[Any] = TypeAdapter(Objectives)
    losses = {
        name: DistillationLoss(tuple(adapter.validate_python(method)), 0.9, 2.0)
        for name, method in METHODS.items()
    }
    shares: dict[str, list[float]] = {name: [] for name in losses}
    for turn in range(REPETITIONS + 1):
        for name, loss in losses.items():
            step = _seconds_of_steps(rows, loss)
            share = _seconds_of_objective(batch, loss) / step
            if turn:  # the first one warms up
                shares[name].append(share)
    most, listing = dearest(shares, digits=3)
    return [
        result(
            "objective_share_of_step",
            shares[most],
            "ratio",
            0.10,
            "value and gradient of the objective, as a share of a training step of an MLP with "
            f"two layers of 512 on batches of {SPEC.batch_size}; the dearest of {listing}",
        )
    ]


def measure(report: Callable[[str], None]) -> list[Result]:
    """Time every method."""
    report("objectives: their share of a training step")
    with repeatable():
        return figures()


if __name__ == "__main__":
    for row in measure(print):
        print(row)
