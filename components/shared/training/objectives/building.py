"""From a recipe's method to the loss of a training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor, nn

from components.shared.recipe.features import (
    AttentionTransfer,
    Crd,
    FitNet,
    HiddenStates,
    Rkd,
    SimilarityPreserving,
)
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.objectives import (
    DeeperExit,
    FeatureSpec,
    Mutual,
    ObjectiveSpec,
    OnlineSpec,
    OnlineTeacher,
    ResponseSpec,
)
from components.shared.recipe.schedules import Schedule
from components.shared.training.objectives.composing import ComposedLoss, Term
from components.shared.training.objectives.contrast import Contrast
from components.shared.training.objectives.distillation import DistillationLoss
from components.shared.training.objectives.exits import ExitsTerm
from components.shared.training.objectives.layers import (
    aligned,
    attention_distance,
    cosine_distance,
    squared_layer_distance,
)
from components.shared.training.objectives.looking_inside import AmongRows, Layers, RowByRow
from components.shared.training.objectives.pairing import Networks
from components.shared.training.objectives.peers import MutualTerm, OnlineTeacherTerm
from components.shared.training.objectives.relational import (
    Constellation,
    alignment_distance,
    angle_relation,
    distance_relation,
    similarity_distance,
)

Outputs = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Setting:
    """What objectives that look at more than logits are made for."""

    student: nn.Module
    """On the device of the rows."""
    teacher: nn.Module | None
    """On the same; None where the method does not look at it."""
    shape: tuple[int, ...]
    """Of one raw row."""
    classes: int
    rows: int
    """Of the training set."""
    build: Callable[[ModelSpec | None], nn.Module] | None = None
    """A new network of a model, by default the student's; None where no other learns beside it."""


def loss_of(
    objectives: Sequence[ObjectiveSpec],
    weight: float,
    temperature: float | Schedule | None,
    setting: Setting,
) -> DistillationLoss | ComposedLoss:
    """The loss of a method. New parameters are drawn from torch's global generator.

    Args:
        objectives: the method.
        weight: share of the teacher in the loss, 0 to 1.
        temperature: of those objectives that have none of their own.
        setting: networks and rows.

    Raises:
        UserError: the networks do not have the layers.
    """
    response = tuple(one for one in objectives if isinstance(one, ResponseSpec))
    plain = DistillationLoss(response, weight, temperature)
    if len(response) == len(objectives):
        return plain
    terms = [
        (one.weight, term_of(one, setting, temperature))
        for one in objectives
        if not isinstance(one, ResponseSpec)
    ]
    device = next(setting.student.parameters()).device
    has_plain = response or weight < 1
    return ComposedLoss(plain if has_plain else None, weight, terms).to(device)


def term_of(
    spec: FeatureSpec | OnlineSpec | DeeperExit,
    setting: Setting,
    temperature: float | Schedule | None = None,
) -> Term:
    """The term of an objective that looks at more than logits.

    Args:
        spec: the objective.
        setting: networks and rows.
        temperature: for one that has none of its own.

    Raises:
        UserError: the networks do not have the layers.
    """
    match spec:
        case OnlineTeacher() | Mutual():
            return _online_term(spec, temperature, setting)
        case DeeperExit():
            networks = Networks(setting.student, None, setting.shape, setting.classes)
            exits = networks.exits(spec)
            return ExitsTerm(exits, setting.classes, spec.alpha, spec.temperature)
        case _:
            return _feature_term(spec, setting)


def _feature_term(spec: FeatureSpec, setting: Setting) -> Term:
    if setting.teacher is None:
        raise AssertionError(f"{spec.kind} needs a teacher to look at")
    networks = Networks(setting.student, setting.teacher, setting.shape, setting.classes)
    found = networks.pairs(spec, spec.kind)
    pairs, outputs = [pair for pair, _ in found], [seen for _, seen in found]
    term: Term
    match spec:
        case FitNet() | HiddenStates(similarity="mse"):
            term = RowByRow(pairs, squared_layer_distance, _projections(outputs))
        case HiddenStates(similarity="cosine"):
            term = RowByRow(pairs, cosine_distance, _projections(outputs))
        case HiddenStates():
            term = AmongRows(pairs, alignment_distance)
        case AttentionTransfer():
            term = RowByRow(pairs, attention_distance, [nn.Identity() for _ in pairs])
        case SimilarityPreserving():
            term = AmongRows(pairs, similarity_distance)
        case Rkd():
            term = AmongRows(pairs, _Relations(spec))
        case Crd():
            term = _contrast(spec, pairs[0], outputs[0], setting.rows)
        case _:
            assert_never(spec)
    return term


def _online_term(spec: OnlineSpec, temperature: float | Schedule | None, setting: Setting) -> Term:
    """Initial weights of the networks are drawn one after the other; without a temperature it is
    1."""
    if setting.build is None:
        raise AssertionError(f"{spec.kind} needs networks beside the student")
    own = (temperature or 1.0) if spec.temperature is None else spec.temperature
    match spec:
        case Mutual():
            return MutualTerm([setting.build(spec.model) for _ in range(spec.peers)], own)
        case OnlineTeacher():
            return OnlineTeacherTerm(setting.build(spec.model), own)
        case _:
            assert_never(spec)


def _projections(outputs: Sequence[Outputs]) -> list[nn.Module]:
    """From the width of the student's layer to that of the teacher's, where they differ."""
    widths = [tuple(layer.shape[2] for layer in aligned(*pair)) for pair in outputs]
    return [nn.Identity() if one == other else nn.Linear(one, other) for one, other in widths]


@dataclass(frozen=True)
class _Relations:
    """RKD of two layers."""

    spec: Rkd

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        pair = Constellation(student), Constellation(teacher)
        value = torch.zeros((), device=student.device)
        if self.spec.distance:
            value = value + self.spec.distance * distance_relation(*pair)
        if self.spec.angle:
            value = value + self.spec.angle * angle_relation(*pair)
        return value


def _contrast(spec: Crd, pair: Layers, outputs: Outputs, rows: int) -> Contrast:
    widths = outputs[0][0].numel(), outputs[1][0].numel()
    negatives = min(spec.negatives, rows)
    return Contrast(
        (pair.student, pair.teacher), widths, spec.dims, spec.temperature, negatives, rows
    )
