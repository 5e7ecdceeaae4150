"""Shares of rows, and differences of two, with one-sided confidence bounds."""

import math
from dataclasses import dataclass

from components.evaluation.bounds import CONTINUITY, difference_lower_bound, wilson_interval
from components.shared.results import PairedCounts
from components.shared.results.diagnosis import Figure


@dataclass(frozen=True)
class Share:
    """A share of some rows, or the mean over them of a number from 0 to 1.

    Of all such numbers with the same mean, those that are 0 or 1 spread most, so that bounds of a
    share hold for the mean too.
    """

    value: float
    """0 to 1."""
    rows: int
    """At least 1."""


@dataclass(frozen=True)
class Bounded:
    """A number between its one-sided bounds."""

    value: float
    lower: float
    upper: float

    def points(self, name: str) -> Figure:
        """As a difference of two shares."""
        return self._figure(name, "points")

    def share(self, name: str) -> Figure:
        """As a share."""
        return self._figure(name, "share")

    def _figure(self, name: str, unit: str) -> Figure:
        return Figure.model_validate(
            {"name": name, "value": self.value, "lower": self.lower, "upper": self.upper}
            | {"unit": unit}
        )


def bounded(share: Share, level: float) -> Bounded:
    """Wilson's score bounds with a continuity correction of half a row (Newcombe, Statistics in
    Medicine 17 (1998) 857, method 4).

    Args:
        share: the share.
        level: of each bound, above 0.5.
    """
    half = CONTINUITY / share.rows
    low, high = max(share.value - half, 0.0), min(share.value + half, 1.0)
    lower = wilson_interval(low, share.rows, 2 * level - 1).lower
    upper = wilson_interval(high, share.rows, 2 * level - 1).upper
    return Bounded(share.value, min(lower, share.value), max(upper, share.value))


def difference(first: Share, second: Share, level: float) -> Bounded:
    """First minus second, of different rows (Newcombe, Statistics in Medicine 17 (1998) 873, method
    11: from Wilson's bounds of both, with continuity correction).

    Of the same rows the bounds are wide: where two networks are right on the same rows, the
    difference varies less.

    Args:
        first: a share.
        second: another.
        level: of each bound, above 0.5.
    """
    one, other = bounded(first, level), bounded(second, level)
    value = first.value - second.value
    below = math.hypot(one.value - one.lower, other.upper - other.value)
    above = math.hypot(one.upper - one.value, other.value - other.lower)
    return Bounded(value, max(value - below, -1.0), min(value + above, 1.0))


def paired_difference(counts: PairedCounts, level: float) -> Bounded:
    """Accuracy of the ``student`` of the counts minus the other's, with the gates' bounds.

    Args:
        counts: at least one row.
        level: of each bound.
    """
    turned = counts.model_copy(
        update={"only_student": counts.only_other, "only_other": counts.only_student}
    )
    return Bounded(
        (counts.only_student - counts.only_other) / counts.rows,
        difference_lower_bound(counts, level),
        -difference_lower_bound(turned, level),
    )
