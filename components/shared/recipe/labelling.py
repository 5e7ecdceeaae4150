"""The recipe's ``labelling`` section."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.shared.recipe.augmentation import KINDS, AugmentationSpec
from components.shared.recipe.base import Fraction, PositiveInt, Spec


class ViewsSpec(AugmentationSpec):
    """Augmented views of each row, which the teacher labels beside the plain row."""

    count: PositiveInt = 1
    """Views of a row; the first is the plain row, and the only one by default."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Decides how a row is changed, together with view and row."""

    @model_validator(mode="after")
    def _differ(self) -> "ViewsSpec":
        if self.count > 1 and not self.chosen:
            raise ValueError(
                f"count is more than 1, but all views are the same; set one of {', '.join(KINDS)}"
            )
        if self.count == 1 and self.chosen:
            raise ValueError(f"{self.chosen[0]} needs a count of 2 or more")
        return self


class LabellingSpec(Spec):
    """How the teacher labels the rows, once."""

    workers: PositiveInt = 1
    """Workers that label at once, each its own shards; more than one needs ``storage``."""
    min_accuracy: Fraction = 0.0
    """Least accuracy of the teacher, and of each assistant, on the labelled rows; below it nothing
    learns from it."""
    representation: Literal["auto", "dense", "topk"] = "auto"
    """What is kept of a row: the logits of all classes, or the largest ``k`` and the mass of the
    others. ``auto``: all of up to 256 classes."""
    k: PositiveInt = 64
    """Classes that are kept of a row where not all are."""
    views: ViewsSpec = ViewsSpec()
    shard_rows: PositiveInt | None = None
    """Most rows of a shard, which is what workers share and what a restart keeps. By default as
    many as fit into 64 MiB, from 256 to 65,536."""
