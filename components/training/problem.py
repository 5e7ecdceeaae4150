"""What an arm of a distillation is trained on and for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.student import LearningSpec, StudentSpec
from components.shared.soft_labels import Views
from components.shared.training.augmentation import as_views, column_noise
from components.shared.training.checkpoints import Slot
from components.shared.training.rows import TrainingRows
from components.training.selection import some

Arm = Literal["student", "hard_label", "pseudo_label"]


@dataclass(frozen=True)
class Problem:
    """What an arm is trained on and for."""

    student: StudentSpec
    distillation: LearningSpec
    input: InputSpec
    preprocessing: Preprocessing
    rows: TrainingRows
    """What it learns from, with the teacher's logits unless the arm is ``hard_label``."""
    classes: int
    seed: int
    slot: Callable[[str], Slot | None] = field(default=lambda _name: None)
    """The place for the checkpoint of one of the arm's trainings, by its name."""
    teacher: Classifier | None = None
    """On the device of the rows, where the method runs it in training."""

    @property
    def live(self) -> Views | None:
        """How rows are changed in every step, if they are; baselines see what the student does."""
        spec = self.distillation.live
        if spec is None:
            return None
        noise = column_noise(spec.noise, self.input, self.preprocessing.std)
        return as_views(spec, self.input, noise)

    def build(self, model: ModelSpec | None = None) -> Classifier:
        """A new network, by default the student, on the device of the rows; initial weights follow
        torch's global generator."""
        model = model or self.student.model
        network = Classifier.build(model, self.input, self.preprocessing, self.classes)
        return network.to(self.rows.device)

    def of(self, model: ModelSpec) -> "Problem":
        """The same problem for a student of another model."""
        return replace(self, student=self.student.model_copy(update={"model": model}))

    def on(self, rows: TrainingRows) -> "Problem":
        """The same problem on other rows."""
        return replace(self, rows=rows)


@dataclass(frozen=True)
class Split:
    """Training rows, apart from those that a candidate is judged on."""

    fitted: TrainingRows
    held_out: TrainingRows
    seen: TrainingRows
    """As many of the fitted ones as are held out."""

    @classmethod
    def of(
        cls, rows: TrainingRows, fitted: Tensor, held_out: Tensor, generator: torch.Generator
    ) -> "Split":
        """By the numbers of the rows, or by masks."""
        judged = rows.part(held_out)
        seen = rows.part(some(fitted, len(judged), generator))
        return cls(rows.part(fitted), judged, seen)
