"""The recipe's section ``student.search``: how much smaller than its model a student may be."""

from itertools import product
from typing import Annotated, assert_never, cast

from pydantic import Field

from components.shared.recipe.base import Candidates, Fraction, PositiveInt, Spec
from components.shared.recipe.gates import Gates
from components.shared.recipe.models import (
    BagSpec,
    BuiltInSpec,
    CnnSpec,
    MlpSpec,
    MobileNetSpec,
    ModelSpec,
    ResidualMlpSpec,
    ResNetSpec,
    TransformerSpec,
)

Factors = Annotated[
    list[Annotated[float, Field(gt=0, le=1)]], Candidates, Field(min_length=1, max_length=20)
]


class SizeSearchSpec(Spec):
    """Find the smallest student that follows its teacher as closely as the gates ask.

    ``student.model`` is the largest; sizes are all widths with all depths. They are halved by trial
    (bisection): each trial trains one size at the shortest length, and judges it by agreement with
    the labels that it learns from, on held-out training rows. Test rows are not looked at.
    """

    widths: Factors = [0.25, 0.5, 0.75, 1.0]
    """Factors of the model's widths: hidden layers, channels, dims."""
    depths: Factors = [0.5, 1.0]
    """Factors of its depth: layers or blocks, of which at least one is left."""
    agreement: Fraction | None = None
    """Agreement that is enough, when a standard error is taken off; by default the largest that
    ``gates`` ask as agreement, retention or accuracy."""
    budget: PositiveInt = 30_000
    """Optimizer steps that all trials together may take; one is made in any case."""

    def needed(self, gates: Gates) -> float | None:
        """The agreement that is enough, None where nothing says so.

        Held-out rows have hardly any labels, so that agreement stands for what the gates ask.
        """
        if self.agreement is not None:
            return self.agreement
        asked = (gates.agreement, gates.retention, gates.accuracy)
        return max((gate.min for gate in asked if gate), default=None)

    def sizes(self, largest: ModelSpec) -> list[ModelSpec]:
        """All widths with all depths, each once and in no order; the model itself is one of them.

        Args:
            largest: the model of the student, of a family that is built in.
        """
        found: list[ModelSpec] = []
        for width, depth in product([*self.widths, 1.0], [*self.depths, 1.0]):
            made = sized(cast(BuiltInSpec, largest), width, depth)
            if made not in found:
                found.append(made)
        return found


def sized(model: BuiltInSpec, width: float, depth: float) -> BuiltInSpec:
    """A narrower and shallower model of the same family.

    Args:
        model: the largest.
        width: factor of its widths, above 0 up to 1.
        depth: factor of its number of layers or blocks, of which the first ones are kept.
    """

    def narrow(number: int) -> int:
        return max(1, round(number * width))

    def shallow(number: int) -> int:
        return max(1, round(number * depth))

    def first(numbers: list[int]) -> list[int]:
        return [narrow(number) for number in numbers[: shallow(len(numbers))]]

    changed: dict[str, object]
    match model:
        case MlpSpec():
            changed = {"hidden": first(model.hidden)}
        case ResidualMlpSpec():
            changed = {
                "width": narrow(model.width),
                "hidden": narrow(model.hidden),
                "blocks": shallow(model.blocks),
            }
        case CnnSpec():
            changed = {"channels": first(model.channels), "hidden": narrow(model.hidden)}
        case ResNetSpec():
            changed = {
                "channels": [narrow(number) for number in model.channels],
                "blocks": [shallow(number) for number in model.blocks],
            }
        case MobileNetSpec():
            changed = {
                "width": model.width * width,
                "blocks": [shallow(number) for number in model.blocks],
            }
        case BagSpec():
            changed = {"dims": narrow(model.dims), "hidden": first(model.hidden)}
        case TransformerSpec():
            changed = {
                "dims": max(1, round(model.dims * width / model.heads)) * model.heads,
                "hidden": narrow(model.hidden),
                "layers": shallow(model.layers),
            }
        case _:
            assert_never(model)
    return model.model_copy(update=changed)
