"""Why distillation did or did not help: what each question about it was answered with."""

from typing import Literal

from components.shared.formatting import integer, interval, percent, points, points_interval
from components.shared.results.base import Result

Topic = Literal[
    "help",
    "teacher_lead",
    "teacher_calibration",
    "capacity",
    "length",
    "saturation",
    "pool_size",
    "pool_coverage",
    "pool_confidence",
]
Severity = Literal["problem", "hint", "clear", "unsettled", "not_measured"]
"""``problem``: it is there, and can be why the student is not better; ``hint``: it is there or may
be, and is worth a try; ``clear``: it is not there; ``unsettled``: too few rows to tell;
``not_measured``: the figure is not known."""
Unit = Literal["share", "points", "rows", "steps"]
"""``points`` are a difference of two shares."""
NOTABLE: tuple[Severity, ...] = ("problem", "hint")


class Figure(Result):
    """A measurement that a finding rests on."""

    name: str
    value: float
    lower: float | None
    """One-sided confidence bounds; null where it is a plain count, or has none."""
    upper: float | None
    unit: Unit

    @property
    def in_words(self) -> str:
        """The number with its unit, and its bounds where it has any."""
        if self.unit in ("rows", "steps"):
            return integer(round(self.value))
        in_points = self.unit == "points"
        shown = points(self.value) if in_points else percent(self.value)
        if self.lower is None or self.upper is None:
            return shown
        between = points_interval if in_points else interval
        return f"{shown}, {between(self.lower, self.upper)}"


class Finding(Result):
    """The answer to one question."""

    topic: Topic
    title: str
    severity: Severity
    statement: str
    """What was found, in a sentence or two."""
    figures: list[Figure]
    rule: str
    """When it counts as found, and when as not there."""
    source: str
    """Where rule and bound are from."""
    advice: str
    """What to do; empty where there is nothing to."""


class Diagnosis(Result):
    """The answers to all questions."""

    confidence: float
    """Of all statements together: the chance that any of them is wrong is at most one less this,
    since each bound is taken at a level for so many (Bonferroni)."""
    level: float
    """Of each one-sided bound."""
    findings: list[Finding]

    @property
    def notable(self) -> list[Finding]:
        """Problems, then hints."""
        return [one for kind in NOTABLE for one in self.findings if one.severity == kind]
