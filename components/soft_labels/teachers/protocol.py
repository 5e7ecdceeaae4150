"""What labelling needs of a teacher."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from components.shared.recipe.inputs import InputSpec

Array = npt.NDArray[np.float32]


class Teacher(Protocol):
    """A model that exists, and gives logits for raw rows.

    Where memory runs out, :meth:`logits` raises ``MemoryError`` or what torch raises then; it is
    called again with fewer rows.
    """

    @property
    def digest(self) -> str:
        """Hash of all that its labels depend on."""

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the logits."""

    @property
    def input(self) -> InputSpec:
        """What a row is."""

    @property
    def preprocessing_digest(self) -> str:
        """Hash of what a row is, and of what is done to it before the model gets it."""

    def logits(self, inputs: Array) -> Array:
        """Logits of shape (rows, classes) for raw inputs of shape (rows, \\*input shape)."""
