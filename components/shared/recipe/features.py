"""Objectives that look inside teacher and student, as a recipe writes them, by kind.

The formulas are in :mod:`components.shared.training.objectives`.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.shared.recipe.base import PositiveFloat, PositiveInt, Spec
from components.shared.recipe.objective import InsideObjective
from components.shared.recipe.schedules import Scheduled

LayerPath = Annotated[str, Field(min_length=1)]


class LayerPair(Spec):
    """Two layers that are compared, by their paths, such as ``body.3``."""

    student: LayerPath
    teacher: LayerPath


class FeatureObjective(InsideObjective):
    """What compares hidden layers of student and teacher, which is run in every step."""

    layers: Annotated[list[LayerPair], Field(min_length=1)] | None = None
    """Layers whose outputs are compared, each of the student with one of the teacher; several pairs
    are summed. By default what goes into the last fully connected layer of both."""

    @property
    def runs_teacher(self) -> bool:
        """Hidden layers are not stored."""
        return True

    @property
    def between(self) -> str:
        """The layers in words, where they are named."""
        pairs = [f"{pair.student} to {pair.teacher}" for pair in self.layers or []]
        return f", layers {' and '.join(pairs)}" if pairs else ""


class FitNet(FeatureObjective):
    """Hints: mean squared distance of layers, through a learned projection where widths differ
    (Romero et al., arXiv 1412.6550)."""

    kind: Literal["fitnet"]
    weight: Scheduled = 100.0
    """Factor of this objective beside the others of the method."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"FitNet (hints{self.between})"


class AttentionTransfer(FeatureObjective):
    """Distance of attention maps: where the squares of a layer's channels are large (Zagoruyko &
    Komodakis, arXiv 1612.03928, as in their code). For layers with places: images or tokens."""

    kind: Literal["attention_transfer"]
    weight: Scheduled = 1000.0
    """Factor of this objective beside the others of the method."""
    layers: Annotated[list[LayerPair], Field(min_length=1)] | None = None
    """As for the others, but by default the last layer of both that has places."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"attention transfer{self.between}"


class HiddenStates(FeatureObjective):
    """Likeness of layers: cosine (as in DistilBERT, arXiv 1910.01108) or squared distance, through
    a learned projection where widths differ, or linear CKA (Kornblith et al., arXiv 1905.00414),
    which needs none."""

    kind: Literal["hidden_states"]
    similarity: Literal["cosine", "mse", "cka"] = "cosine"

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"hidden states ({self.similarity}{self.between})"


class Rkd(FeatureObjective):
    """Relations of rows: distances of two, and angles of three, between what a layer makes of them
    (Park et al., arXiv 1904.05068). Angles cost the cube of the batch's rows."""

    kind: Literal["rkd"]
    distance: Annotated[float, Field(ge=0)] = 25.0
    """Factor of the distances; 0 leaves them out."""
    angle: Annotated[float, Field(ge=0)] = 50.0
    """Factor of the angles; 0 leaves them out."""

    @model_validator(mode="after")
    def _not_empty(self) -> "Rkd":
        if self.distance == 0 and self.angle == 0:
            raise ValueError("distance and angle are both 0, which leaves nothing to learn")
        return self

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"RKD (distance {self.distance:g}, angle {self.angle:g}{self.between})"


class SimilarityPreserving(FeatureObjective):
    """Which rows of a batch a layer finds alike (Tung & Mori, arXiv 1907.09682)."""

    kind: Literal["similarity_preserving"]
    weight: Scheduled = 3000.0
    """Factor of this objective beside the others of the method."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        return f"similarity-preserving{self.between}"


class Crd(FeatureObjective):
    """Contrast: the same row as teacher and student see it, against other rows (Tian et al., arXiv
    1910.10699)."""

    kind: Literal["crd"]
    weight: Scheduled = 0.8
    """Factor of this objective beside the others of the method."""
    layers: Annotated[list[LayerPair], Field(min_length=1, max_length=1)] | None = None
    """As for the others, but one pair."""
    dims: PositiveInt = 128
    """Width of the space in which rows are compared, into which both layers are projected."""
    temperature: PositiveFloat = 0.07
    """Of the contrast; small numbers look at the nearest rows alone."""
    negatives: PositiveInt = 4096
    """Rows of earlier batches to tell from, beside those of the batch; no more than there are."""

    @property
    def described(self) -> str:
        """What a report calls it."""
        return (
            f"CRD (contrast, {self.dims} dims, temperature {self.temperature:g}, "
            f"{self.negatives} negatives{self.between})"
        )
