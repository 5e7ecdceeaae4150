"""The arms of a distillation: what each learns from, and how it chooses its own length.

The *student* learns from soft labels, the *pseudo-label* arm from the teacher's argmax on the same
rows, the *hard-label* arm from the labels alone. All share architecture, initial weights and
training code, so that a difference between them is a difference of targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, assert_never

import torch
from torch import Tensor

from components.shared.bundle import Candidate, CurvePoint, Selection
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.recipe.models import DistillationSpec, StudentSpec
from components.shared.training.objectives import cross_entropy, distillation_loss
from components.shared.training.trainer import Loss, fit
from components.training.selection import (
    Score,
    best_score,
    hold_out,
    proportion,
    stratified_folds,
    within_one_standard_error,
)

Arm = Literal["student", "hard_label", "pseudo_label"]
_FOLDS = 5


@dataclass(frozen=True)
class Problem:
    """What an arm is trained on and for."""

    student: StudentSpec
    distillation: DistillationSpec
    input: TabularInput | ImageInput
    preprocessing: Preprocessing
    inputs: Tensor
    """Raw features of all training rows, shape (rows, \\*input shape)."""
    labels: Tensor
    """Class indices, shape (rows,); -1 where there is none."""
    teacher_logits: Tensor
    """Shape (rows, classes)."""
    classes: int
    seed: int

    def rows(self, index: Tensor) -> "Problem":
        """The same problem on some of its rows."""
        return Problem(
            **{
                **self.__dict__,
                "inputs": self.inputs[index],
                "labels": self.labels[index],
                "teacher_logits": self.teacher_logits[index],
            }
        )

    def labelled(self) -> "Problem":
        """The same problem on its labelled rows."""
        return self.rows(torch.nonzero(self.labels >= 0).flatten())


@dataclass(frozen=True)
class Choice:
    """One candidate: a length, and the settings of the loss where the arm has any."""

    steps: int
    temperature: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True)
class Trained:
    """A trained arm."""

    network: Classifier
    curve: list[CurvePoint]
    selection: Selection


def train_arm(arm: Arm, problem: Problem) -> Trained:
    """Choose among the arm's candidates on held-out training rows, then train on all rows.

    Raises:
        UserError: training diverged.
    """
    candidates = choices(arm, problem.student, problem.distillation)
    if arm == "hard_label":
        problem = problem.labelled()
    if len(candidates) == 1:
        selection = Selection(
            judge="nothing, since there was one candidate",
            candidates=[_candidate(arm, candidates[0])],
            chosen=0,
        )
    elif arm == "hard_label":
        selection = _select_by_cross_validation(problem, candidates)
    else:
        selection = _select_by_agreement(arm, problem, candidates)
    choice = candidates[selection.chosen]
    network, curve = _train(arm, problem, choice, label=arm)
    return Trained(network, curve, selection)


def choices(arm: Arm, student: StudentSpec, distillation: DistillationSpec) -> list[Choice]:
    """The arm's candidates in order of preference: shorter first, then as in the recipe."""
    lengths = sorted(student.training.steps)
    if arm != "student":
        return [Choice(steps) for steps in lengths]
    return [
        Choice(steps, temperature, weight)
        for steps in lengths
        for temperature in distillation.temperature
        for weight in distillation.weight
    ]


def _select_by_agreement(arm: Arm, problem: Problem, candidates: Sequence[Choice]) -> Selection:
    """Hold out rows, and keep the cheapest candidate that agrees with the teacher about best."""
    generator = torch.Generator().manual_seed(problem.seed)
    fitted, held_out = hold_out(len(problem.inputs), problem.distillation.holdout, generator)
    training, judging = problem.rows(fitted), problem.rows(held_out)
    targets = judging.teacher_logits.argmax(dim=1)
    scores = []
    for choice in candidates:
        network, _ = _train(arm, training, choice, label=f"candidate {_name(arm, choice)}")
        share = _share_right(network, judging.inputs, targets)
        scores.append(proportion(share, len(held_out)))
    return Selection(
        judge=f"agreement with the teacher on {len(held_out)} held-out training rows; "
        "the first candidate within one standard error of the best",
        candidates=list(map(partial(_candidate, arm), candidates, scores)),
        chosen=within_one_standard_error(scores),
    )


def _select_by_cross_validation(problem: Problem, candidates: Sequence[Choice]) -> Selection:
    """Keep the length with the best cross-validated accuracy on the labelled rows."""
    generator = torch.Generator().manual_seed(problem.seed)
    folds = stratified_folds(problem.labels.cpu(), _FOLDS, generator)
    scores = []
    for choice in candidates:
        right = 0.0
        for number, (fitted, held_out) in enumerate(folds, start=1):
            label = f"candidate {choice.steps} steps, fold {number} of {len(folds)}"
            network, _ = _train("hard_label", problem.rows(fitted), choice, label)
            judging = problem.rows(held_out)
            right += _share_right(network, judging.inputs, judging.labels) * len(held_out)
        scores.append(proportion(right / len(problem.inputs), len(problem.inputs)))
    return Selection(
        judge=f"accuracy on {len(problem.inputs)} labelled rows, {len(folds)}-fold "
        "cross-validation; the best, since a baseline must be as good as it can be",
        candidates=list(map(partial(_candidate, "hard_label"), candidates, scores)),
        chosen=best_score(scores),
    )


def _train(
    arm: Arm, problem: Problem, choice: Choice, label: str
) -> tuple[Classifier, list[CurvePoint]]:
    torch.manual_seed(problem.seed)
    network = Classifier.build(
        problem.student.model, problem.input, problem.preprocessing, problem.classes
    ).to(problem.inputs.device)
    training = problem.student.training.at(choice.steps)
    curve = fit(network, problem.inputs, _loss(arm, problem, choice), training, problem.seed, label)
    return network, curve


def _loss(arm: Arm, problem: Problem, choice: Choice) -> Loss:
    match arm:
        case "hard_label":
            return lambda logits, rows: cross_entropy(logits, problem.labels[rows])
        case "pseudo_label":
            targets = problem.teacher_logits.argmax(dim=1)
            return lambda logits, rows: cross_entropy(logits, targets[rows])
        case "student":
            return lambda logits, rows: distillation_loss(
                logits,
                problem.teacher_logits[rows],
                problem.labels[rows],
                choice.temperature,
                choice.weight,
            )
        case _:
            assert_never(arm)


@torch.inference_mode()
def _share_right(network: Classifier, inputs: Tensor, targets: Tensor) -> float:
    return float((network(inputs).argmax(dim=1) == targets).float().mean())


def _candidate(arm: Arm, choice: Choice, score: Score | None = None) -> Candidate:
    soft = arm == "student"
    return Candidate(
        steps=choice.steps,
        temperature=choice.temperature if soft else None,
        weight=choice.weight if soft else None,
        score=score.value if score else None,
        standard_error=score.standard_error if score else None,
    )


def _name(arm: Arm, choice: Choice) -> str:
    if arm != "student":
        return f"{choice.steps} steps"
    return f"{choice.steps} steps, T={choice.temperature:g}, weight={choice.weight:g}"


def standardisation(inputs: Tensor) -> Preprocessing:
    """Mean and standard deviation of the training rows: per column, or per channel of images.

    A constant column gets a standard deviation of 1.

    Args:
        inputs: raw features, shape (rows, columns) or (rows, channels, height, width).
    """
    axes = [axis for axis in range(inputs.dim()) if axis != 1]
    mean = inputs.double().mean(dim=axes)
    std = inputs.double().std(dim=axes, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Preprocessing(mean=mean.float().tolist(), std=std.float().tolist())
