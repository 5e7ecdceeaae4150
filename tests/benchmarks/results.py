"""The rows of ``build/bench.json``."""

import statistics
from collections.abc import Mapping
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


def dearest(values: Mapping[str, list[float]], digits: int) -> tuple[str, str]:
    """Which one's median over repetitions is the largest, and the medians of all in words."""
    medians = {name: statistics.median(found) for name, found in values.items()}
    listing = ", ".join(f"{name} {value:.{digits}f}" for name, value in medians.items())
    return max(medians, key=lambda name: medians[name]), listing
