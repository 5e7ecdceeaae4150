"""Objectives of distillation, as a recipe writes them: what the student minimises, by kind.

The formulas are in :mod:`components.shared.training.objectives`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from components.shared.recipe.base import Fraction, PositiveFloat
from components.shared.recipe.exits import DeeperExit
from components.shared.recipe.features import (
    AttentionTransfer,
    Crd,
    FitNet,
    HiddenStates,
    Rkd,
    SimilarityPreserving,
)
from components.shared.recipe.objective import Objective
from components.shared.recipe.online import Mutual, OnlineTeacher
from components.shared.recipe.schedules import Schedule, Temperature, shown, value_at

__all__ = [
    "FEATURE_NAMES",
    "NAMES",
    "ONLINE_NAMES",
    "RESPONSE_NAMES",
    "AttentionTransfer",
    "Crd",
    "DeeperExit",
    "Dist",
    "Dkd",
    "FeatureSpec",
    "FitNet",
    "HiddenStates",
    "Kd",
    "LogitMse",
    "Mutual",
    "ObjectiveSpec",
    "Objectives",
    "OnlineSpec",
    "OnlineTeacher",
    "PseudoLabel",
    "ResponseSpec",
    "Rkd",
    "Schedule",
    "SimilarityPreserving",
    "SoftCrossEntropy",
    "Temperature",
    "described",
    "misfit",
    "shown",
    "value_at",
]


class _OfSoftLabels(Objective):
    temperature: Temperature | None = None
    """By default that of ``distillation.temperature``."""
    standardise: bool = False
    """Subtract the mean from the logits of each row and divide by their standard deviation first,
    for teacher and student (Sun et al., arXiv 2403.01427); the student need not match the scale of
    the teacher's logits. For three classes or more."""

    @property
    def follows_temperature(self) -> bool:
        """Whether it is computed at ``distillation.temperature``."""
        return self.temperature is None

    @property
    def takes_every_logit(self) -> bool:
        """Mean and standard deviation are those of all logits."""
        return self.standardise

    @property
    def degenerates_on_two_classes(self) -> bool:
        """Two standardised numbers are always the same two."""
        return self.standardise


class Kd(_OfSoftLabels):
    """Divergence of the student's probabilities from the teacher's (Hinton et al., arXiv
    1503.02531)."""

    kind: Literal["kd"]

    @property
    def described(self) -> str:
        """What a report calls it."""
        return "KD (divergence of soft labels)"


class Dkd(_OfSoftLabels):
    """KD in two parts with weights of their own: the class of the row against all others, and the
    others among themselves (Zhao et al., arXiv 2203.08679). On two classes the second is zero.

    The class of a row is its label, and the teacher's first choice where there is none.
    """

    kind: Literal["dkd"]
    alpha: PositiveFloat = 1.0
    """Factor of the class of the row against all others."""
    beta: PositiveFloat = 8.0
    """Factor of the others among themselves; the paper takes 2 to 8, less for a weaker teacher."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"DKD (decoupled divergence, alpha {self.alpha:g}, beta {self.beta:g})"


class Dist(_OfSoftLabels):
    """Correlation with the teacher's probabilities: of each row over the classes, and of each class
    over the rows of a batch (Huang et al., arXiv 2205.10536). For three classes or more."""

    kind: Literal["dist"]
    beta: PositiveFloat = 2.0
    """Factor of the rows' correlations."""
    gamma: PositiveFloat = 2.0
    """Factor of the classes' correlations."""

    @property
    def degenerates_on_two_classes(self) -> bool:
        """A correlation of two numbers is 1 or -1."""
        return True

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"DIST (correlations, beta {self.beta:g}, gamma {self.gamma:g})"


class SoftCrossEntropy(_OfSoftLabels):
    """Cross-entropy with the teacher's probabilities. It is that of ``kd`` plus what no student can
    change, the entropy of the teacher: the same gradient."""

    kind: Literal["soft_cross_entropy"]

    @property
    def described(self) -> str:
        """What a report calls it."""
        return "soft cross-entropy"


class LogitMse(Objective):
    """Half the squared distance from the teacher's logits (Ba & Caruana, arXiv 1312.6184)."""

    kind: Literal["logit_mse"]

    @property
    def takes_every_logit(self) -> bool:
        """It is the distance over all classes."""
        return True

    @property
    def described(self) -> str:
        """What a report calls it."""
        return "logit MSE (squared distance of logits)"


class PseudoLabel(Objective):
    """Cross-entropy with the teacher's first choice (Lee, 2013), where the teacher is sure of it
    (Sohn et al., arXiv 2001.07685)."""

    kind: Literal["pseudo_label"]
    threshold: Fraction = 0.0
    """Least probability that the teacher gives its first choice, at temperature 1. Rows below it
    count nothing, and the mean is still over all rows."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        sure = f" of at least {self.threshold:g} confidence" if self.threshold else ""
        return f"pseudo-labels{sure}"


ResponseSpec = Kd | Dkd | Dist | SoftCrossEntropy | LogitMse | PseudoLabel
"""Those that compare logits, of which the stored soft labels have the teacher's."""
FeatureSpec = FitNet | AttentionTransfer | HiddenStates | Rkd | SimilarityPreserving | Crd
"""Those that compare hidden layers, for which the teacher is run in training."""
OnlineSpec = Mutual | OnlineTeacher
"""Those for which other networks learn at the same time."""
ObjectiveSpec = Annotated[
    ResponseSpec | FeatureSpec | OnlineSpec | DeeperExit, Field(discriminator="kind")
]
ResponseName = Literal["kd", "dkd", "dist", "soft_cross_entropy", "logit_mse", "pseudo_label"]
FeatureName = Literal[
    "fitnet", "attention_transfer", "hidden_states", "rkd", "similarity_preserving", "crd"
]
OnlineName = Literal["mutual", "online_teacher"]
ObjectiveName = Literal[ResponseName, FeatureName, OnlineName, "deeper_exit"]
_NameAlone = Literal[ResponseName, FeatureName, "mutual"]
NAMES_ALONE: tuple[ObjectiveName, ...] = get_args(_NameAlone)
"""Of those that no setting has to be given for."""
RESPONSE_NAMES: tuple[ResponseName, ...] = get_args(ResponseName)
FEATURE_NAMES: tuple[FeatureName, ...] = get_args(FeatureName)
ONLINE_NAMES: tuple[OnlineName, ...] = get_args(OnlineName)
NAMES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
"""All that there are."""


def _listed(value: Any) -> Any:
    """Let ``dkd`` stand for ``[{kind: dkd}]``."""
    several = value if isinstance(value, list) else [value]
    return [{"kind": one} if isinstance(one, str) else one for one in several]


def _each_once(objectives: list[Any]) -> list[Any]:
    twice = next((one for i, one in enumerate(objectives) if one in objectives[:i]), None)
    if twice is not None:
        raise ValueError(f"{twice.kind} is listed twice with the same settings; raise its weight")
    return objectives


Objectives = Annotated[
    list[ObjectiveSpec],
    Field(min_length=1),
    BeforeValidator(
        _listed,
        json_schema_input_type=_NameAlone | ObjectiveSpec | list[_NameAlone | ObjectiveSpec],
    ),
    AfterValidator(_each_once),
]
"""One objective or several, of which the weighted sum is minimised; a name is one with its default
settings."""


def described(objectives: Sequence[ObjectiveSpec]) -> str:
    """A method in a few words: its objectives with their weights."""
    return " + ".join(_weighted(one) for one in objectives)


def _weighted(objective: ObjectiveSpec) -> str:
    notes = []
    if isinstance(objective, _OfSoftLabels):
        if objective.standardise:
            notes.append("standardised logits")
        if objective.temperature is not None:
            notes.append(f"temperature {shown(objective.temperature)}")
    text = ", ".join([objective.described, *notes])
    if objective.weight == 1:
        return text
    factor = shown(objective.weight)
    return (
        f"({factor}) · {text}" if isinstance(objective.weight, Schedule) else f"{factor} · {text}"
    )


def misfit(objectives: Sequence[ObjectiveSpec], classes: int, complete: bool) -> str | None:
    """Why a student cannot learn by a method from these labels; nothing where it can.

    Args:
        objectives: the method.
        classes: of the data set.
        complete: whether the teacher's logits of all classes are kept.
    """
    for one in objectives:
        standardised = isinstance(one, _OfSoftLabels) and one.standardise
        name = f"{one.kind} with standardise" if standardised else one.kind
        if classes == 2 and one.degenerates_on_two_classes:
            return (
                f"{name} needs three classes or more: of two logits it keeps no more than which is "
                "the larger; take kd"
            )
        if not complete and one.takes_every_logit:
            return (
                f"{name} needs the teacher's logits of all classes, but the soft labels keep only "
                "the largest; take kd, or set labelling.representation to dense"
            )
    return None
