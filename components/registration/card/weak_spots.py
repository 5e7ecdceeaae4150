"""Where the model errs: classes, pairs of classes, and slices."""

from components.registration.card.section import Section, paragraphs
from components.registration.submission import Submission
from components.shared.formatting import integer, interval, percent
from components.shared.markdown import clip, escape, table
from components.shared.results import ArmResult, ClassResult, SliceResult

_MOST = 5
_LONGEST_NAME = 40
FEW_ROWS = 30
"""Below so many rows, a share says little."""


def weak_spots(submission: Submission) -> Section:
    """The classes, mistakes and slices with the most errors."""
    measured = submission.evaluation.measured(submission.decision.candidate)
    return Section(
        "Weak spots",
        paragraphs(
            _classes(measured.per_class),
            _mistakes(measured, submission.evaluation.classes),
            _slices(measured.slices),
        ),
        8,
    )


def judged_slices(slices: list[SliceResult]) -> list[SliceResult]:
    """The slices with rows enough for their share to mean something."""
    return [one for one in slices if one.rows >= FEW_ROWS]


def _classes(classes: list[ClassResult]) -> str:
    known = [one for one in classes if one.recall is not None]
    worst = sorted(known, key=lambda one: one.recall or 0)[:_MOST]
    rows = [
        [_name(one.name), percent(one.recall), percent(one.precision), integer(one.rows)]
        for one in worst
    ]
    title = f"The {len(worst)} classes of {len(classes):,} that are found least often"
    if len(worst) == len(classes):
        title = "Classes, those that are found least often first"
    header = ["Class", "Found (recall)", "Right when named (precision)", "Test rows"]
    return paragraphs(f"{title}:", table(header, rows, "lrrr")) if rows else ""


def _mistakes(measured: ArmResult, classes: list[str]) -> str:
    """The pairs of classes that are confused most often."""
    wrong = [
        (count, true, predicted)
        for true, row in enumerate(measured.confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    if not wrong:
        return "No test row was given a wrong class."
    often = sorted(wrong, key=lambda one: (-one[0], one[1], one[2]))[:_MOST]
    told = "; ".join(
        f"{_name(classes[true])} taken for {_name(classes[predicted])} "
        f"({integer(count)} of {integer(sum(measured.confusion[true]))} rows)"
        for count, true, predicted in often
    )
    return f"Most frequent mistakes: {told}."


def _slices(slices: list[SliceResult]) -> str:
    if not slices:
        return ""
    judged = judged_slices(slices)
    left_out = len(slices) - len(judged)
    note = (
        f"{left_out:,} of {len(slices):,} slices have fewer than {FEW_ROWS} test rows, and are "
        "not listed."
        if left_out
        else ""
    )
    worst = sorted(judged, key=lambda one: one.metrics["accuracy"].value)[:_MOST]
    if not worst:
        return note
    title = f"The {len(worst)} slices with the lowest accuracy:"
    rows = [[_slice(one), *_accuracy(one), integer(one.rows)] for one in worst]
    return paragraphs(title, table(["Slice", "Accuracy", "Interval", "Rows"], rows, "lrrr"), note)


def _slice(one: SliceResult) -> str:
    return f"{_name(one.column)} = {_name(one.value)}"


def _accuracy(one: SliceResult) -> list[str]:
    accuracy = one.metrics["accuracy"]
    return [percent(accuracy.value), interval(accuracy.lower, accuracy.upper)]


def _name(text: str) -> str:
    return escape(clip(text, _LONGEST_NAME))
