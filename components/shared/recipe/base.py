"""What every part of a recipe has in common."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Spec(BaseModel):
    """A frozen section of a recipe: no unknown keys, no NaN, no infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def repeated(names: Iterable[str]) -> str | None:
    """The first of them that was there before; null where each is there once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _as_list(value: Any) -> Any:
    """Let ``steps: 400`` stand for ``steps: [400]``."""
    return value if isinstance(value, list) else [value]


def _as_names(value: Any) -> Any:
    """Let ``[0, 1]`` in YAML (or ``0.0`` from KFP) stand for ``["0", "1"]``."""
    if not isinstance(value, list):
        return value
    return [str(int(name)) if isinstance(name, int) or _is_whole(name) else name for name in value]


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(gt=0.5, lt=1)]

Candidates = BeforeValidator(_as_list, json_schema_input_type=Any)
"""Marks a list of candidates, in order of preference; a single value is a list of one."""
Names = Annotated[list[str], BeforeValidator(_as_names)]
"""Names of classes or categories, which are text; whole numbers and true/false become text."""
