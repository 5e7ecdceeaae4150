"""Questions about the student: whether it was helped, whether it can follow, and whether it was
trained long enough."""

from components.evaluation.diagnosis.gains import (
    fits_better_longer,
    gain_of_fitting,
    gain_of_length,
)
from components.evaluation.diagnosis.measured import Measured
from components.evaluation.diagnosis.question import (
    MARGIN,
    POINT,
    Question,
    plain,
    shown,
    shown_share,
    size,
)
from components.evaluation.diagnosis.shares import bounded, paired_difference
from components.shared.formatting import integer, percent
from components.shared.results.diagnosis import Finding

FOLLOWS = 0.95
"""A student that agrees with its teacher on so many of the rows that it was fitted on can follow
it."""

_HELP = Question(
    topic="help",
    title="Did it help?",
    rule=f"A problem where the upper bound of the student's gain over the hard-label arm is below "
    f"{size(POINT)}, and the lower bound not above 0; worth a hint where the pseudo-label arm is "
    "surely ahead of the student; else not one where that lower bound is above 0.",
    source="Tango, Statistics in Medicine 17 (1998) 891, on the same test rows",
)
_CAPACITY = Question(
    topic="capacity",
    title="Can the student follow the teacher?",
    rule=f"A problem where the upper bound of its agreement with the teacher on rows that it was "
    f"fitted on is below {percent(FOLLOWS, 0)} whatever was tried, and the longest training fits "
    "no better by over one standard error; not one where the lower bound is above it.",
    source="Stanton et al., arXiv 2106.05945 (agreement on training rows); Cho & Hariharan, arXiv "
    "1910.01348; Mirzadeh et al., arXiv 1902.03393 (assistants); Wilson's bounds",
)
_LENGTH = Question(
    topic="length",
    title="Was it trained long enough?",
    rule="A problem where the longest training was chosen and its agreement with the teacher on "
    "held-out rows is surely above that of the next shorter one; worth a hint where it is by over "
    f"one standard error; not one where it is surely not by {size(MARGIN)}.",
    source="Beyer et al., arXiv 2106.05237 (patience); Tango, Statistics in Medicine 17 (1998) "
    "891, on the same held-out rows, at a level for all candidates",
)
_SATURATION = Question(
    topic="saturation",
    title="Is the student saturated?",
    rule=f"Worth a hint where it surely disagrees with the teacher on over {size(MARGIN)} of the "
    "rows that it did not learn from, and surely neither longer training nor having been fitted on "
    f"rows brings {size(MARGIN)}; not the case where one of them surely brings something, or it "
    f"surely disagrees on less than {size(MARGIN)}.",
    source="Stanton et al., arXiv 2106.05945; bounds as for length and size of the pool",
)
_UNKNOWN = "How the student was trained is not known here."
_ONE = "Only one length was tried: give student.training.steps several."


def helped(measured: Measured, level: float) -> Finding:
    """Whether the student is better than without the teacher, or than with its classes alone."""
    paired = measured.evaluation.paired
    gain = paired_difference(paired["hard_label"], level)
    beside = paired_difference(paired["pseudo_label"], level)
    figures = [
        gain.points("Student minus hard-label arm"),
        beside.points("Student minus pseudo-label arm"),
    ]
    simpler = "Take method: pseudo_label, which is simpler, or add it to the candidates."
    if gain.lower <= 0 and gain.upper < POINT:
        return _HELP.answer(
            "problem",
            f"The student is no better than labels alone, or by less than {size(POINT)}: "
            f"{shown(gain)}.",
            figures,
            "The findings below say why, as far as it was measured. Where none does, labels alone "
            "are the simpler choice.",
        )
    if beside.upper < 0:
        return _HELP.answer(
            "hint",
            f"The teacher's plain classes teach better than its probabilities: the student is "
            f"{shown(beside)} from the pseudo-label arm.",
            figures,
            simpler,
        )
    if gain.lower > 0:
        return _HELP.answer(
            "clear", f"The student gained {shown(gain)} over labels alone.", figures
        )
    return _HELP.answer(
        "unsettled",
        f"The test rows do not tell whether the student is ahead of labels alone: {shown(gain)}.",
        figures,
        "More test rows would settle it; kubedistill compare repeats it over seeds.",
    )


def capacity(measured: Measured, level: float) -> Finding:
    """Whether the student agrees with the teacher at least where it was fitted."""
    if measured.student is None:
        return _CAPACITY.not_measured(_UNKNOWN)
    tried = [share for one in measured.candidates if (share := measured.fitted(one))]
    own, chosen = measured.learned, measured.chosen
    if own is None and chosen is not None:
        own = measured.fitted(chosen)
    if own is None:
        return _CAPACITY.not_measured(
            "Agreement with the teacher on rows that the student was fitted on was not recorded."
        )
    found = bounded(own, level)
    figures = [found.share("Agreement where fitted"), plain("Rows behind it", own.rows)]
    if found.lower > FOLLOWS:
        return _CAPACITY.answer(
            "clear",
            f"Where it was fitted, the student agrees with {measured.taught_by} on "
            f"{shown_share(found)} of the rows: it can follow.",
            figures,
        )
    if max(bounded(share, level).upper for share in [own, *tried]) >= FOLLOWS:
        return _CAPACITY.answer(
            "unsettled",
            f"Where it was fitted, the student agrees with {measured.taught_by} on "
            f"{shown_share(found)} of {integer(own.rows)} rows, which does not tell whether it can "
            "follow.",
            figures,
        )
    fact = (
        f"Even where it was fitted, the student agrees with {measured.taught_by} on only "
        f"{shown_share(found)} of the rows"
    )
    if fits_better_longer(measured) is not False:
        return _CAPACITY.answer(
            "hint",
            f"{fact}; whether it would after longer training was not seen.",
            figures,
            f"Train longer first (student.training.steps). If that changes nothing, "
            f"{measured.taught_by} is too far above the student.",
        )
    return _CAPACITY.answer(
        "problem",
        f"{fact}, and longer training did not change that: {measured.taught_by} is too far above "
        "it (capacity gap).",
        figures,
        "Take a wider or deeper student, or put an assistant of a size in between "
        "(distillation.assistants); dist asks less of a student than kd.",
    )


def length(measured: Measured, level: float) -> Finding:
    """Whether the longest training was still getting better."""
    if measured.student is None:
        return _LENGTH.not_measured(_UNKNOWN)
    gain = gain_of_length(measured, level)
    pair, chosen = measured.lengths, measured.chosen
    if gain is None or pair is None or chosen is None:
        return _LENGTH.not_measured(_ONE)
    figures = [
        gain.points("Longest minus next shorter, held out"),
        plain("Longest training", pair.longer.steps, "steps"),
    ]
    longest = chosen.steps == pair.longer.steps
    steps = f"{integer(pair.longer.steps)} steps"
    more = (
        f"Give student.training.steps longer candidates than {integer(pair.longer.steps)}, and "
        "method: auto a budget for them, if it has one."
    )
    if longest and gain.lower > 0:
        return _LENGTH.answer(
            "problem",
            f"The longest training was still getting closer to {measured.taught_by}: {steps} "
            f"against {integer(pair.shorter.steps)} bring {shown(gain)} of agreement.",
            figures,
            more,
        )
    if longest and gain.value > (pair.longer.standard_error or 0.0):
        return _LENGTH.answer(
            "hint",
            f"The longest training was chosen, and is better by over one standard error: {steps} "
            f"against {integer(pair.shorter.steps)} bring {shown(gain)} of agreement.",
            figures,
            more,
        )
    if gain.upper < MARGIN:
        return _LENGTH.answer(
            "clear",
            f"Training longer brings nothing: {steps} against {integer(pair.shorter.steps)}, "
            f"{shown(gain)} of agreement.",
            figures,
        )
    return _LENGTH.answer(
        "unsettled",
        f"Longer training is not shown to bring anything, nor ruled out: {steps} against "
        f"{integer(pair.shorter.steps)}, {shown(gain)} of agreement.",
        figures,
    )


def saturation(measured: Measured, level: float) -> Finding:
    """Whether neither more steps nor more rows of the kind would bring the student closer."""
    if measured.student is None:
        return _SATURATION.not_measured(_UNKNOWN)
    longer, learned = gain_of_length(measured, level), measured.learning
    if longer is None or learned is None:
        return _SATURATION.not_measured(
            "It takes several lengths, and agreement on rows fitted and on others."
        )
    rows = gain_of_fitting(learned, level)
    apart = bounded(learned.unseen, level)
    figures = [
        apart.share(f"Agreement on {learned.where}"),
        longer.points("By longer training"),
        rows.points("By having been fitted"),
    ]
    parts = f"longer training {shown(longer)}, having been fitted on rows {shown(rows)}"
    if apart.lower > 1 - MARGIN:
        return _SATURATION.answer(
            "clear",
            f"There is next to nothing left to learn: the student agrees with "
            f"{measured.taught_by} on {shown_share(apart)} of {learned.where}.",
            figures,
        )
    if longer.lower > 0 or rows.lower > 0:
        return _SATURATION.answer("clear", f"It is not saturated: {parts}.", figures)
    if apart.upper < 1 - MARGIN and max(longer.upper, rows.upper) < MARGIN:
        return _SATURATION.answer(
            "hint",
            f"The student is saturated at {shown_share(apart)} agreement with "
            f"{measured.taught_by} on {learned.where}: {parts}. Neither more steps nor more rows "
            "like these will bring it closer.",
            figures,
            "Change the student (wider, another family), the method, or the teacher.",
        )
    return _SATURATION.answer("unsettled", f"Too few rows to tell: {parts}.", figures)
