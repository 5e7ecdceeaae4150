"""Learning on: a student that was pruned or rounded recovers from the teacher's soft labels."""

from dataclasses import dataclass

import torch

from components.compression.deploying import FormNotMade
from components.shared.bundle import ModelBundle
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.recipe import StudentTrainingSpec
from components.shared.recipe.objectives import Kd, ResponseSpec
from components.shared.training.objectives import DistillationLoss
from components.shared.training.rows import TrainingRows
from components.shared.training.trainer import Diverged, fit

_END = 1.0
"""The progress of a training that is over: schedules stay where they ended."""


def loss_of(bundle: ModelBundle) -> DistillationLoss:
    """The loss that a student chose when it was trained, as its bundle says.

    No other network is run here: objectives that look inside a teacher, or for which others learn
    at the same time, are left out, and where nothing else is left, there is KD.

    Raises:
        UserError: the bundle is not of a distilled student.
    """
    chosen = bundle.selection and bundle.selection.choice
    if not chosen or chosen.weight is None:
        raise UserError(
            f"the bundle of {bundle.role} does not name method and weight of its distillation; "
            "only a student that learned from soft labels can learn on"
        )
    objectives = tuple(one for one in chosen.method if isinstance(one, ResponseSpec))
    return DistillationLoss(objectives or (Kd(kind="kd"),), chosen.weight, chosen.temperature)


@dataclass(frozen=True)
class Recovery:
    """What a student learns on from, and how."""

    rows: TrainingRows
    """All training rows, with the teacher's logits."""
    loss: DistillationLoss
    training: StudentTrainingSpec
    seed: int

    def learn_on(
        self, network: Classifier, steps: int, learning_rate: float | None, label: str
    ) -> None:
        """Train ``network`` in place; it returns to the CPU, in evaluation mode.

        Args:
            network: starts from the weights it has.
            steps: optimizer steps.
            learning_rate: by default the student's.
            label: what progress events call this training.

        Raises:
            FormNotMade: training diverged.
        """
        training = self.training.at(steps)
        if learning_rate is not None:
            training = training.model_copy(update={"learning_rate": learning_rate})
        torch.manual_seed(self.seed)
        network.to(self.rows.device)
        try:
            fit(
                network,
                self.rows,
                lambda logits, batch, _progress: self.loss(logits, batch, _END),
                training,
                self.seed,
                label,
            )
        except Diverged as error:
            raise FormNotMade(
                f"its training diverged: {error.found}; set the candidate's learning_rate below "
                f"{training.learning_rate:g}"
            ) from error
        network.cpu()
