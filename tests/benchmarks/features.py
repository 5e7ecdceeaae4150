"""What objectives that look inside the teacher cost of a training step, and how often the student
is run in it.

A step by each of them against one by KD that is followed by a forward pass of the same teacher, all
in turn on one thread, in its time on the processor. What is left is hooks, projections, relations.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput, TrainingSpec
from components.shared.recipe.objectives import FEATURE_NAMES, Objectives
from components.shared.training.objectives.building import Setting, loss_of
from components.shared.training.rows import MemoryRows
from components.shared.training.trainer import fit
from tests.benchmarks.repeatable import repeatable
from tests.benchmarks.results import Result, dearest, result

ROWS, SIZE, CLASSES = 2048, (1, 16, 16), 10
STUDENT = CnnSpec(family="cnn", channels=[16, 32], hidden=32)
TEACHER = CnnSpec(family="cnn", channels=[32, 64], hidden=64)
SPEC = TrainingSpec(steps=15, batch_size=64, learning_rate=1e-3)
REPETITIONS = 3


def _network(spec: CnnSpec) -> Classifier:
    torch.manual_seed(0)
    image = ImageInput(kind="image", size=list(SIZE))
    return Classifier.build(spec, image, Preprocessing(mean=[0.0], std=[1.0]), CLASSES)


def _rows() -> MemoryRows:
    generator = torch.Generator().manual_seed(0)
    return MemoryRows(
        torch.randn(ROWS, *SIZE, generator=generator),
        torch.randint(CLASSES, (ROWS,), generator=generator),
        (torch.randn(ROWS, CLASSES, generator=generator) * 3,),
        torch.arange(ROWS),
    )


class _Passes:
    """Counts forward passes of a network."""

    def __init__(self, network: Classifier) -> None:
        self.count = 0
        network.register_forward_hook(self._add)

    def _add(self, *_: Any) -> None:
        self.count += 1


def _run(rows: MemoryRows, method: list[str], teacher: Classifier) -> tuple[float, float]:
    """Seconds of a training, and forward passes of the student in a step."""
    student = _network(STUDENT)
    objectives = TypeAdapter(Objectives).validate_python(method)
    loss = loss_of(objectives, 0.9, 2.0, Setting(student, teacher, SIZE, CLASSES, ROWS))
    passes = _Passes(student)
    started = time.process_time()
    fit(student, rows, loss, SPEC, seed=0, label="benchmark", teacher=teacher)
    return time.process_time() - started, passes.count / SPEC.steps


@torch.no_grad()
def _seconds_of_teacher(teacher: Classifier, inputs: Tensor) -> float:
    started = time.process_time()
    for _ in range(SPEC.steps):
        teacher(inputs)
    return time.process_time() - started


def figures() -> list[Result]:
    """Of the objective that costs most; the figure is the median over the turns."""
    rows, teacher = _rows(), _network(TEACHER).eval()
    inputs = rows.batch(slice(0, SPEC.batch_size), 0).inputs
    ratios: dict[str, list[float]] = {name: [] for name in FEATURE_NAMES}
    passes: list[float] = []
    for turn in range(REPETITIONS + 1):
        for name in FEATURE_NAMES:
            plain, _ = _run(rows, ["kd"], teacher)
            seconds, counted = _run(rows, ["kd", name], teacher)
            passes.append(counted)
            if turn:  # the first one warms up
                ratios[name].append(seconds / (plain + _seconds_of_teacher(teacher, inputs)))
    most, listing = dearest(ratios, digits=2)
    return [
        result(
            "feature_student_passes",
            passes,
            "passes",
            1,
            "forward passes of the student in a step, whatever looks inside it and its teacher",
        ),
        result(
            "feature_step_ratio",
            ratios[most],
            "ratio",
            2,
            "a step with an objective that looks inside the teacher against one of KD and a "
            f"forward pass of the teacher, CNNs on batches of {SPEC.batch_size}; the dearest of "
            f"{listing}",
        ),
    ]


def measure(report: Callable[[str], None]) -> list[Result]:
    """Time every objective."""
    report("features: what looking inside the teacher costs of a training step")
    with repeatable():
        return figures()


if __name__ == "__main__":
    for row in measure(print):
        print(row)
