"""Models that are not built in: what a function of one's own makes."""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, JsonValue, field_validator

from components.shared.errors import UserError
from components.shared.recipe.base import Spec

MODULES: str = "KUBEDISTILL_MODEL_MODULES"
"""Environment variable: modules and packages that factories may come from, with commas between. It
belongs to whoever runs the steps: a recipe is what a stranger may have written."""

_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def _with_whole_numbers(value: Any) -> Any:
    """KFP carries all numbers as floats, and a width of 32.0 is none."""
    if isinstance(value, dict):
        return {key: _with_whole_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


Arguments = Annotated[dict[str, JsonValue], AfterValidator(_with_whole_numbers)]
"""Keyword arguments: values as JSON has them; a float that is a whole number arrives as one."""


class FactorySpec(Spec):
    """A network that a function of one's own makes.

    The function is called with ``input_shape`` (of a row, without the batch: columns; channels,
    height, width; or tokens), ``classes`` (how many), for texts ``vocabulary`` (ids, 0 of them for
    padding), and ``arguments``. It returns a :class:`torch.nn.Module` that takes a batch of
    standardised float32 rows (texts: token ids as int64) and gives logits of shape (rows, classes).
    Weights are to be drawn by torch, whose seed is the run's.
    """

    family: Literal["factory"]
    factory: str
    """``package.module:function``; the environment variable ``KUBEDISTILL_MODEL_MODULES`` has to
    name the module, or a package that it is in, wherever the model is made or loaded."""
    arguments: Arguments = {}
    """Further keyword arguments of the function."""

    @field_validator("factory")
    @classmethod
    def _is_a_path(cls, factory: str) -> str:
        if not _FACTORY.fullmatch(factory):
            raise ValueError(f"should be package.module:function, not {factory!r}")
        return factory

    @field_validator("arguments")
    @classmethod
    def _not_ours(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        for name in ("input_shape", "classes", "vocabulary"):
            if name in arguments:
                raise ValueError(f"{name} follows from the data; leave it out")
        return arguments

    @property
    def module(self) -> str:
        """Where the function is."""
        return self.factory.partition(":")[0]

    @property
    def function(self) -> str:
        """Its name there."""
        return self.factory.partition(":")[2]


def is_allowed(module: str) -> bool:
    """Whether the environment names the module, or a package that it is in."""
    return any(module == name or module.startswith(f"{name}.") for name in _allowed())


def check_allowed(module: str, what: str) -> None:
    """Refuse a module that the environment does not name.

    Args:
        module: its full name.
        what: that is to be loaded from it.

    Raises:
        UserError: says what to set, and where.
    """
    if is_allowed(module):
        return
    allowed = ", ".join(_allowed()) or "none"
    raise UserError(
        f"model.factory: {what} is code of the module {module}, which {MODULES} does not allow "
        f"(allowed: {allowed}); whoever runs the steps may set {MODULES}={module} in their "
        "environment or image"
    )


def _allowed() -> list[str]:
    names = os.environ.get(MODULES, "").split(",")
    return [name.strip() for name in names if name.strip()]
