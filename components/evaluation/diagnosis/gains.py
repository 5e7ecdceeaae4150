"""What having been fitted on rows, and longer training, bring in agreement with the teacher."""

import math

from components.evaluation.diagnosis.measured import Learned, Measured
from components.evaluation.diagnosis.shares import Bounded, difference, paired_difference


def gain_of_fitting(learned: Learned, level: float) -> Bounded:
    """Agreement with the teacher on rows that the student was fitted on, less that on other rows.

    A choice among K students favours those that were lucky on the other rows, so the upper bound is
    taken at a level for K.
    """
    found = difference(learned.fitted, learned.unseen, level)
    careful = 1 - (1 - level) / learned.chosen_among
    return Bounded(
        found.value, found.lower, difference(learned.fitted, learned.unseen, careful).upper
    )


def gain_of_length(measured: Measured, level: float) -> Bounded | None:
    """Agreement on held-out rows of the longest training, less that of the next shorter one, of the
    method that was chosen among K candidates; null where one length was tried.

    Both bounds are taken at a level for K; row by row where one of the two was chosen.
    """
    pair = measured.lengths
    if pair is None:
        return None
    counts = measured.by_length
    if counts is not None:
        return paired_difference(counts, _of_several(measured, level))
    longer, shorter = measured.held_out(pair.longer), measured.held_out(pair.shorter)
    if longer is None or shorter is None:
        return None
    return difference(longer, shorter, _of_several(measured, level))


def fits_better_longer(measured: Measured) -> bool | None:
    """Whether the longest training agrees with the teacher more by over one standard error on rows
    that it was fitted on; null where one length was tried."""
    pair = measured.lengths
    if pair is None:
        return None
    longer, shorter = measured.fitted(pair.longer), measured.fitted(pair.shorter)
    if longer is None or shorter is None:
        return None
    error = math.sqrt(longer.value * (1 - longer.value) / longer.rows)
    return longer.value - shorter.value > error


def _of_several(measured: Measured, level: float) -> float:
    return 1 - (1 - level) / len(measured.candidates)
