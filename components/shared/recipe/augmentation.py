"""What may be done to a row before teacher and student see it: a part of several sections."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.shared.later import later
from components.shared.recipe.base import Spec


class CropSpec(Spec):
    """A part of each image, of its proportions, anywhere in it and enlarged to its size."""

    least: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest share of the image's area."""
    most: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest share of the image's area."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """How it is enlarged."""

    @model_validator(mode="after")
    def _crops(self) -> "CropSpec":
        if self.least > self.most:
            raise ValueError("least is more than most")
        if self.least == 1:
            raise ValueError("least is 1, which leaves nothing to crop; set it below 1")
        return self


KINDS = {
    "shift": ("image",),
    "noise": ("tabular",),
    "flip": ("image",),
    "crop": ("image",),
    "token_dropout": ("text",),
    "mixup": ("tabular", "image"),
    "cutmix": ("image",),
}
"""The kinds of input that each is for."""
_PLURAL = {"image": "images", "tabular": "tables", "text": "texts"}

_Alpha = Annotated[float, Field(ge=0, le=100)]


class AugmentationSpec(Spec):
    """How a row is changed; all are off by default."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Images: random shifts by up to so many pixels."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Tables: noise on columns of numbers, in standard deviations of the column."""
    flip: bool = later(False)
    """Images: half of them are mirrored, left to right."""
    crop: CropSpec | None = later(None)
    """Images: a part of each, enlarged to the image's size."""
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = later(0.0)
    """Text: probability that a token is dropped."""
    mixup: _Alpha = later(0.0)
    """Tables and images: each row is mixed with another one, its share drawn from
    Beta(``mixup``, ``mixup``) (arXiv 1710.09412); categories are those of the row with the larger
    share."""
    cutmix: _Alpha = later(0.0)
    """Images: a box of another image is put into each, what is left drawn from
    Beta(``cutmix``, ``cutmix``) (arXiv 1905.04899)."""

    @model_validator(mode="after")
    def _one_way_to_mix(self) -> "AugmentationSpec":
        if self.mixup and self.cutmix:
            raise ValueError("mixup and cutmix both mix a row with another; set one of them")
        return self

    @property
    def chosen(self) -> list[str]:
        """Names of those that are on."""
        return [name for name in KINDS if getattr(self, name)]

    def misfit(self, kind: str) -> str | None:
        """Why rows cannot be changed so, if they cannot.

        Args:
            kind: of the input.
        """
        for name in self.chosen:
            if kind not in KINDS[name]:
                fitting = " and ".join(_PLURAL[one] for one in KINDS[name])
                return f"{name} is for {fitting}, but the input is {kind}"
        return None
