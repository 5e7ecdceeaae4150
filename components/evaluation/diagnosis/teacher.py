"""Questions about the teacher: whether there is something to learn from it, and how sure it is."""

import numpy as np

from components.evaluation.diagnosis.measured import Measured
from components.evaluation.diagnosis.question import POINT, Question, shown, shown_share, size
from components.evaluation.diagnosis.shares import Bounded, paired_difference
from components.evaluation.measuring.estimates import calibration_error
from components.shared.formatting import integer, percent
from components.shared.results import CalibrationBin
from components.shared.results.diagnosis import Finding

CALIBRATED = 0.05
"""A calibration error below this does not matter here; networks that are not calibrated have 4 to
16 % in table 1 of arXiv 1706.04599."""

_LEAD = Question(
    topic="teacher_lead",
    title="Is the teacher ahead?",
    rule=f"A problem where the upper bound of its lead over the hard-label arm is below "
    f"{size(POINT)}; not one where the lower bound is above 0.",
    source="Tango, Statistics in Medicine 17 (1998) 891, on the same test rows",
)
_CALIBRATION = Question(
    topic="teacher_calibration",
    title="Is the teacher calibrated?",
    rule=f"Worth a hint where the lower bound of the expected calibration error is above "
    f"{percent(CALIBRATED, 0)}; not where the upper bound is below it.",
    source="Guo et al., arXiv 1706.04599, on test rows; bounds by bootstrap, or by the standard "
    "error of the gaps where these are wider",
)


def lead(measured: Measured, level: float) -> Finding:
    """Whether the teacher is better than the same student without it."""
    counts = measured.evaluation.teacher_lead
    if counts is None:
        return _LEAD.not_measured(
            "Teacher and hard-label arm were not compared row by row: the evaluation is older."
        )
    found = paired_difference(counts, level)
    figures = [found.points("Teacher minus hard-label arm")]
    if found.lower > 0:
        return _LEAD.answer(
            "clear", f"The teacher is ahead of labels alone: {shown(found)}.", figures
        )
    if found.upper < POINT:
        return _LEAD.answer(
            "problem",
            f"There is nothing to distil: the teacher is ahead of labels alone by less than "
            f"{size(POINT)}, if at all: {shown(found)}.",
            figures,
            "Take a better teacher (larger, trained longer or on more labels, or several), or "
            "leave it out and train on the labels.",
        )
    return _LEAD.answer(
        "unsettled",
        f"No lead of the teacher over labels alone is shown, nor ruled out, by "
        f"{integer(counts.rows)} test rows: {shown(found)}. What share of such a gap was recovered "
        "means little.",
        figures,
        "More test rows would settle it.",
    )


def calibration(measured: Measured, level: float) -> Finding:
    """Whether the teacher's probabilities are right as often as they say."""
    bins = measured.evaluation.teacher.calibration
    found = _calibration_error(bins, level)
    figures = [found.share("Expected calibration error of the teacher")]
    if found.upper < CALIBRATED:
        return _CALIBRATION.answer(
            "clear",
            f"The teacher's probabilities are about right: calibration error {shown_share(found)}.",
            figures,
        )
    if found.lower <= CALIBRATED:
        return _CALIBRATION.answer(
            "unsettled",
            f"The test rows do not tell whether the teacher's probabilities are right: calibration "
            f"error {shown_share(found)}.",
            figures,
        )
    claimed, held = _claims(bins)
    sure = claimed > held
    return _CALIBRATION.answer(
        "hint",
        f"The teacher is {'too' if sure else 'not'} sure{'' if sure else ' enough'}: it claims "
        f"{percent(claimed)} on average and is right in {percent(held)}; calibration error "
        f"{shown_share(found)}.",
        figures,
        f"Let distillation.temperature have {'higher' if sure else 'lower'} candidates. Do not "
        "expect much of calibrating the teacher itself: in our trials it helped no student. Where "
        "its probabilities are used as such, as by the threshold of pseudo_label, mind that they "
        f"are too {'high' if sure else 'low'}.",
    )


def _calibration_error(bins: list[CalibrationBin], level: float) -> Bounded:
    sums = [(one.rows, one.rows * one.confidence, one.rows * one.accuracy) for one in bins]
    found = calibration_error(np.array(sums, np.float64).T, 2 * level - 1)
    return Bounded(found.value, found.lower, found.upper)


def _claims(bins: list[CalibrationBin]) -> tuple[float, float]:
    """Mean confidence, and the share of right rows."""
    rows = sum(one.rows for one in bins)
    claimed = sum(one.rows * one.confidence for one in bins) / rows
    return claimed, sum(one.rows * one.accuracy for one in bins) / rows
