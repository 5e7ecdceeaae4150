"""A question of a diagnosis, with the rule by which it is answered; and how figures are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.evaluation.diagnosis.shares import Bounded
from components.shared.formatting import interval, percent, points, points_interval, short
from components.shared.results.diagnosis import Figure, Finding, Severity, Topic, Unit

POINT = 0.01
"""Differences in accuracy below this do not matter here."""
MARGIN = 0.02
"""Differences in agreement with the teacher, or in its confidence, below this do not matter."""


@dataclass(frozen=True)
class Question:
    """What is asked, and when the answer is which."""

    topic: Topic
    title: str
    rule: str
    source: str

    def answer(
        self, severity: Severity, statement: str, figures: Sequence[Figure] = (), advice: str = ""
    ) -> Finding:
        """The finding.

        Args:
            severity: what it comes to.
            statement: the same in a sentence or two.
            figures: what it rests on.
            advice: what to do, if there is anything.
        """
        return Finding(
            topic=self.topic,
            title=self.title,
            severity=severity,
            statement=statement,
            figures=list(figures),
            rule=self.rule,
            source=self.source,
            advice=advice,
        )

    def not_measured(self, why: str) -> Finding:
        """Said where a figure is not known, in a sentence."""
        return self.answer("not_measured", why)


def shown(figure: Bounded) -> str:
    """A difference of shares with its bounds."""
    return f"{points(figure.value)} ({points_interval(figure.lower, figure.upper)})"


def shown_share(figure: Bounded) -> str:
    """A share with its bounds."""
    return f"{short(percent(figure.value))} ({interval(figure.lower, figure.upper)})"


def size(difference: float) -> str:
    """A difference as a size: ``2 points``."""
    unit = "point" if difference == POINT else "points"
    return short(points(difference, unit=unit)).removeprefix("+")


def plain(name: str, value: float, unit: Unit = "rows") -> Figure:
    """A number without bounds as a figure."""
    return Figure(name=name, value=value, lower=None, upper=None, unit=unit)
