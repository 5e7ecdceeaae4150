"""The recipe's ``student`` and ``distillation`` sections."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from components.shared.later import later
from components.shared.recipe.augmentation import KINDS, AugmentationSpec
from components.shared.recipe.base import Candidates, Fraction, PositiveInt, Spec
from components.shared.recipe.models import OUTSIDE, ModelSpec
from components.shared.recipe.objectives import (
    NAMES,
    Kd,
    Objectives,
    ObjectiveSpec,
    Temperature,
)
from components.shared.recipe.sizes import SizeSearchSpec
from components.shared.recipe.training import StudentTrainingSpec


class StudentSpec(Spec):
    """The model that is to be deployed."""

    model: ModelSpec
    training: StudentTrainingSpec = StudentTrainingSpec()
    search: SizeSearchSpec | None = later(None)
    """Find the smallest size of ``model`` that will do; ``{}`` has the defaults."""

    @property
    def sizes(self) -> list[ModelSpec]:
        """The models that the student may have in the end."""
        return self.search.sizes(self.model) if self.search else [self.model]

    @model_validator(mode="after")
    def _sizes_are_known(self) -> Self:
        if self.search and self.model.family in OUTSIDE:
            raise ValueError(
                "search makes models smaller that are built in; nothing is known of what is inside "
                f"a {self.model.family}"
            )
        return self


def _form(value: Any) -> str:
    return "auto" if value == "auto" else "objectives"


METHOD_NAMES: tuple[str, ...] = ("auto", *NAMES)
"""What a method may be called; each objective is one with its default settings."""


def _known(value: Any) -> Any:
    """Tell a name that is none from a list of objectives."""
    if isinstance(value, str) and value not in METHOD_NAMES:
        names = ", ".join(METHOD_NAMES)
        raise ValueError(f"should be one of {names}, or objectives, not {value!r}")
    return value


Method = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[Objectives, Tag("objectives")],
    Discriminator(_form),
    BeforeValidator(_known),
]


class LearningSpec(Spec):
    """What a student learns from its teacher, with the candidates to choose from.

    The loss is (1 - weight) · CE(labels) + weight · Σ of the method's objectives, each times its
    own weight; rows without a label have only its second term. The candidate is chosen by
    agreement with the teacher on held-out training rows; the test rows are never looked at.
    """

    method: Method = [Kd(kind="kd")]
    """What the student minimises beside the cross-entropy with the labels. ``auto`` finds it, with
    temperature, weight on the teacher and length of training, on held-out training rows:
    ``temperature`` and ``weight`` are not looked at then."""
    budget: PositiveInt | None = None
    """Optimizer steps that ``auto`` may spend on its search, before the choice is trained; where
    they are few, it tries less. By default 30,000, or with many rows what it takes to try every
    candidate and every length once."""
    temperature: Annotated[list[Temperature], Candidates, Field(min_length=1)] = [2.0, 1.0]
    """Candidate temperatures, preferred first, for objectives that have none of their own."""
    weight: Annotated[list[Fraction], Candidates, Field(min_length=1)] = [0.9, 1.0]
    """Candidate weights on the teacher, preferred first."""
    live: AugmentationSpec | None = later(None)
    """Teach on fresh views of the rows: in every step each row is changed in another way, teacher
    and student see the same, and the teacher is run to label it. It takes a teacher of source
    ``train`` or ``bundle``, and its forward pass in every step. Candidates are still judged by the
    stored labels of plain rows."""
    holdout: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """Share of the training rows that the candidates are judged on (at least 150 rows where there
    are enough); the chosen one is trained again on all rows."""

    @property
    def objectives(self) -> list[ObjectiveSpec]:
        """What the method is made of; nothing where it is still to be found."""
        return [] if self.method == "auto" else self.method

    @property
    def temperatures(self) -> list[Temperature] | list[None]:
        """The candidates; a single None where no objective follows them."""
        follows = any(objective.follows_temperature for objective in self.objectives)
        return self.temperature if follows else [None]

    @property
    def weights(self) -> list[float]:
        """The candidates; below 1 where nothing but the labels teaches the student its classes."""
        teaches = self.method == "auto" or any(one.teaches_classes for one in self.objectives)
        return self.weight if teaches else [weight for weight in self.weight if weight < 1]

    @property
    def runs_teacher(self) -> bool:
        """Whether the teacher itself is run in every step of the training."""
        return self.live is not None or any(one.runs_teacher for one in self.objectives)

    def runs_teacher_for(self, arm: str) -> bool:
        """Whether the teacher is run in the training of an arm; pseudo-labels are those of the
        views that the student learns from too."""
        if arm == "pseudo_label":
            return self.live is not None
        return arm == "student" and self.runs_teacher

    @model_validator(mode="after")
    def _live_views_differ(self) -> Self:
        if self.live is not None and not self.live.chosen:
            raise ValueError(f"live changes nothing; set one of its {', '.join(KINDS)}")
        return self

    @model_validator(mode="after")
    def _something_teaches_classes(self) -> Self:
        if not self.weights:
            kinds = " and ".join(objective.kind for objective in self.objectives)
            raise ValueError(
                f"weight is 1, and so leaves out the labels, but {kinds} alone teaches no classes; "
                "give a weight below 1, or list kd beside it"
            )
        return self


class AssistantSpec(Spec):
    """A model between teacher and student, where the gap between them is wide: it learns from the
    one before it and then labels the rows for the next (Mirzadeh et al., arXiv 1902.03393)."""

    model: ModelSpec
    training: StudentTrainingSpec | None = None
    """By default that of the student."""
    distillation: LearningSpec | None = None
    """By default the settings of ``distillation`` that it is listed in."""


class DistillationSpec(LearningSpec):
    """What the student learns, from whom, and with the candidates to choose from."""

    assistants: list[AssistantSpec] = later([])
    """Who learns and labels on the way from the teacher to the student, first to last. The student
    learns from the labels of the last one; without any, from the teacher's."""
    generations: PositiveInt = later(1)
    """Students in a row, each taught by the one before; the last one is the student (born-again
    networks, Furlanello et al., arXiv 1805.04770)."""


class StageSpec(NamedTuple):
    """Who learns before the student, and how."""

    student: StudentSpec
    distillation: LearningSpec


def stages(student: StudentSpec, distillation: DistillationSpec) -> list[StageSpec]:
    """All who learn and label before the student, first to last: the assistants, then the
    generations but the last."""
    own = LearningSpec(**{name: getattr(distillation, name) for name in LearningSpec.model_fields})
    between = [
        StageSpec(
            StudentSpec(model=one.model, training=one.training or student.training),
            one.distillation or own,
        )
        for one in distillation.assistants
    ]
    return [*between, *[StageSpec(student, own)] * (distillation.generations - 1)]


def learnings(student: StudentSpec, distillation: DistillationSpec) -> list[LearningSpec]:
    """What everyone learns who learns from a teacher, the student last."""
    return [*(stage.distillation for stage in stages(student, distillation)), distillation]
