"""One training of an arm, and how right the network is then."""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from components.shared.bundle import CurvePoint
from components.shared.networks import Classifier
from components.shared.training.distributed import ranks
from components.shared.training.objectives import cross_entropy, mean_label_entropy
from components.shared.training.objectives.building import Setting, loss_of
from components.shared.training.rows import Batch, TrainingRows
from components.shared.training.step import StepLoss
from components.shared.training.trainer import Loss, fit
from components.training.choices import Choice
from components.training.following import answers, teachers_choice
from components.training.problem import Arm, Problem


def train(
    arm: Arm, problem: Problem, choice: Choice, label: str, name: str
) -> tuple[Classifier, list[CurvePoint]]:
    """Train an arm by one choice.

    Args:
        arm: what it learns from.
        problem: the rows, and the network.
        choice: length, and settings of the loss.
        label: what progress calls it.
        name: of the place for its checkpoint.

    Returns:
        The network, and how its loss went down.

    Raises:
        Diverged: the loss is not finite.
        UserError: the network does not have the layers that the method looks at.
    """
    torch.manual_seed(problem.seed)
    network = problem.build()
    shape, rows = problem.input.shape, len(problem.rows)
    setting = Setting(network, problem.teacher, shape, problem.classes, rows, problem.build)
    training = problem.student.training.at(choice.steps)
    curve = fit(
        network,
        problem.rows,
        _loss(arm, choice, setting),
        training,
        problem.seed,
        label,
        problem.slot(name),
        problem.teacher,
        problem.live,
    )
    return network, curve


def agreeing(
    problem: Problem,
    network: Classifier,
    rows: TrainingRows,
    targets: Callable[[Batch], Tensor],
) -> Tensor:
    """Which rows the network gives their target class, shape (rows,), on the CPU; of several
    processes each judges its share, and all get the whole, so that they choose alike."""
    parts = []
    for given, batch, share in answers(network, rows, problem.input.shape):
        right = (given == targets(batch)[share]).to(torch.uint8)
        parts.append(ranks().whole(right[:, None], len(batch.labels)))
    return torch.cat(parts).flatten().bool().cpu()


def _loss(arm: Arm, choice: Choice, setting: Setting) -> Loss | StepLoss:
    match arm:
        case "hard_label":
            return lambda logits, batch, _progress: mean_label_entropy(logits, batch)
        case "pseudo_label":
            return lambda logits, batch, _progress: cross_entropy(logits, teachers_choice(batch))
        case "student":
            return loss_of(choice.objectives, choice.weight, choice.temperature, setting)
        case _:
            assert_never(arm)
