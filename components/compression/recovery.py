"""Learning on: a student that was pruned or rounded recovers from the teacher's soft labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from components.compression.deploying import FormNotMade
from components.shared.bundle import ModelBundle
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.recipe import StudentTrainingSpec
from components.shared.training.objectives import distillation_loss
from components.shared.training.trainer import Diverged, fit


@dataclass(frozen=True)
class Objective:
    """The loss that the student chose when it was trained."""

    temperature: float
    weight: float

    @classmethod
    def of(cls, bundle: ModelBundle) -> "Objective":
        """What the student's bundle says.

        Raises:
            UserError: the bundle is not of a distilled student.
        """
        chosen = bundle.selection and bundle.selection.candidates[bundle.selection.chosen]
        if not chosen or chosen.temperature is None or chosen.weight is None:
            raise UserError(
                f"the bundle of {bundle.role} does not name temperature and weight of its "
                "distillation; only a student that learned from soft labels can learn on"
            )
        return cls(chosen.temperature, chosen.weight)


@dataclass(frozen=True)
class Recovery:
    """What a student learns on from, and how."""

    inputs: Tensor
    """Raw features of all training rows, shape (rows, \\*input shape), on the device to use."""
    labels: Tensor
    """Class indices, shape (rows,); -1 where there is none."""
    teacher_logits: Tensor
    """Shape (rows, classes)."""
    objective: Objective
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
        network.to(self.inputs.device)
        try:
            fit(network, self.inputs, self._loss, training, self.seed, label)
        except Diverged as error:
            raise FormNotMade(
                f"its training diverged: {error.found}; set the candidate's learning_rate below "
                f"{training.learning_rate:g}"
            ) from error
        network.cpu()

    def _loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        return distillation_loss(
            logits,
            self.teacher_logits[rows],
            self.labels[rows],
            self.objective.temperature,
            self.objective.weight,
        )
