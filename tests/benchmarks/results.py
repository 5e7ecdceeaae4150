"""The rows of ``build/bench.json``."""

import statistics
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Result:
    """One row of ``build/bench.json``."""

    name: str
    value: float
    unit: str
    better: Literal["higher", "lower"]
    target: float
    holds: bool
    spread: list[float]
    """Smallest and largest over the repetitions."""
    how: str


def result(
    name: str,
    values: list[float],
    unit: str,
    target: float,
    how: str,
    better: Literal["higher", "lower"] = "lower",
) -> Result:
    """A figure by its median over repetitions."""
    value = statistics.median(values)
    spread = [round(min(values), 3), round(max(values), 3)]
    holds = value <= target if better == "lower" else value >= target
    return Result(name, round(value, 3), unit, better, target, holds, spread, how)
