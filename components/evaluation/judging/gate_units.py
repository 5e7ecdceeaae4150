"""In which unit each gate counts, and how its numbers are shown."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from components.shared import formatting

Unit = Literal["percent", "points", "milliseconds", "times", "bytes", "number"]

_OF_SECTION: dict[str, Unit] = {
    "accuracy": "percent",
    "balanced_accuracy": "percent",
    "agreement": "percent",
    "worst_slice": "percent",
    "retention": "percent",
    "champion": "points",
    "hard_label": "points",
    "latency": "milliseconds",
    "size": "bytes",
    "memory": "bytes",
}


def unit_of(gate: str) -> Unit:
    """The unit of a gate.

    Args:
        gate: path in the recipe, such as ``gates.latency.p95_ms``.
    """
    _, section, field = [*gate.split("."), "", ""][:3]
    if field.startswith("ratio_to_"):
        return "times"
    return _OF_SECTION.get(section, "number")


def gate_value(gate: str, value: float | None) -> str:
    """A number in the unit of its gate, as reports show it.

    Args:
        gate: path in the recipe.
        value: what was observed, its bound, or the threshold.
    """
    return _SHOWN[unit_of(gate)](value) if value is not None else formatting.MISSING


_SHOWN: dict[Unit, Callable[[float], str]] = {
    "percent": formatting.percent,
    "points": formatting.points,
    "milliseconds": formatting.latency,
    "times": partial(formatting.ratio, digits=2),
    "bytes": formatting.size,
    "number": formatting.fraction,
}
