"""The recipe's ``teacher``, ``student`` and ``distillation`` sections."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.shared.recipe.base import Candidates, Fraction, PositiveFloat, PositiveInt, Spec

Activation = Literal["relu", "gelu", "tanh"]


class MlpSpec(Spec):
    """Fully connected layers over the flattened input."""

    family: Literal["mlp"]
    hidden: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [64]
    """Widths of the hidden layers."""
    activation: Activation = "gelu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class CnnSpec(Spec):
    """3x3 convolutions with batch normalisation, pooled, then one hidden layer; images only."""

    family: Literal["cnn"]
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [32, 64]
    """Output channels of each convolution."""
    hidden: PositiveInt = 32
    """Width of the fully connected layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ResNetSpec(Spec):
    """Residual network for small images, He et al., arXiv 1512.03385, section 4.2; images only.

    A 3x3 convolution, then stages of basic blocks with batch normalisation, average pooling over
    the image, and one fully connected layer. Each stage but the first halves height and width.
    """

    family: Literal["resnet"]
    channels: Annotated[list[PositiveInt], Candidates, Field(min_length=1)] = [32, 64, 128]
    """Channels of each stage."""
    blocks: Annotated[list[PositiveInt], Candidates] = [2]
    """Basic blocks (two 3x3 convolutions each) of each stage; one number is meant for all."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the fully connected layer."""

    @model_validator(mode="after")
    def _blocks_for_each_stage(self) -> "ResNetSpec":
        if len(self.blocks) not in (1, len(self.channels)):
            raise ValueError(
                f"blocks has {len(self.blocks)} numbers, but channels has {len(self.channels)} "
                "stages; give one number for all stages, or one for each"
            )
        return self

    @property
    def stages(self) -> list[tuple[int, int]]:
        """Channels and number of blocks of each stage."""
        blocks = self.blocks * len(self.channels) if len(self.blocks) == 1 else self.blocks
        return list(zip(self.channels, blocks, strict=True))


ModelSpec = Annotated[MlpSpec | CnnSpec | ResNetSpec, Field(discriminator="family")]


class TrainingSpec(Spec):
    """AdamW with linear warm-up over 5 % of the steps and cosine decay to zero."""

    steps: PositiveInt
    """Optimizer steps."""
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 5e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    shift: Annotated[int, Field(ge=0)] = 0
    """Augmentation for images: random shifts by up to so many pixels."""
    threads: PositiveInt = 1
    """CPU threads. The weights are the same bit for bit only at the same number."""


class StudentTrainingSpec(TrainingSpec):
    """How student and baselines are trained; each arm chooses its own length."""

    steps: Annotated[list[PositiveInt], Candidates, Field(min_length=1)]  # type: ignore[assignment]
    """Candidate lengths in optimizer steps, shortest first."""

    def at(self, steps: int) -> TrainingSpec:
        """This training at one of the candidate lengths."""
        return TrainingSpec(**{**self.model_dump(), "steps": steps})


class TrainedTeacher(Spec):
    """A teacher that the pipeline trains on the labelled rows."""

    source: Literal["train"] = "train"
    model: ModelSpec
    training: TrainingSpec


class BundleTeacher(Spec):
    """A teacher that exists already, as a model bundle of an earlier run."""

    source: Literal["bundle"]
    uri: str
    """Folder with ``bundle.json`` and ``model.safetensors``."""


TeacherSpec = Annotated[TrainedTeacher | BundleTeacher, Field(discriminator="source")]


class StudentSpec(Spec):
    """The model that is to be deployed."""

    model: ModelSpec
    training: StudentTrainingSpec


class DistillationSpec(Spec):
    """What the student learns from the teacher, with the candidates to choose from.

    The loss is (1 - weight) · CE(labels) + weight · T² · KL(teacher_T ‖ student_T), Hinton et al.,
    arXiv 1503.02531; rows without a label have only its second term. The candidate is chosen by
    agreement with the teacher on held-out training rows; the test rows are never looked at.
    """

    temperature: Annotated[list[PositiveFloat], Candidates, Field(min_length=1)] = [2.0, 1.0]
    """Candidate temperatures, preferred first."""
    weight: Annotated[list[Fraction], Candidates, Field(min_length=1)] = [0.9, 1.0]
    """Candidate weights on the teacher, preferred first."""
    holdout: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """Share of the training rows that the candidates are judged on (at least 150 rows where there
    are enough); the chosen one is trained again on all rows."""
