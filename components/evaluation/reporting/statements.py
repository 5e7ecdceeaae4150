"""What the figures say about distillation, in sentences: no more than the counts support."""

from dataclasses import dataclass
from typing import Literal

from components.evaluation.bounds import difference_lower_bound
from components.evaluation.reporting.listing import plain
from components.shared.formatting import integer, level, percent, points
from components.shared.results import ArmName, Evaluation, PairedCounts

Standing = Literal["ahead", "level", "behind"]


@dataclass(frozen=True)
class Comparison:
    """The student against another arm on the same rows."""

    difference: float
    """Accuracy of the student minus the other's."""
    lower: float
    upper: float
    """One-sided confidence bounds of the difference."""
    standing: Standing
    """Ahead or behind where the bounds leave out zero, level otherwise."""


@dataclass(frozen=True)
class Finding:
    """A headline and the sentences under it."""

    headline: str
    tone: Literal["good", "plain", "bad"]
    sentences: list[str]


def compare(counts: PairedCounts, confidence: float) -> Comparison:
    """Difference of two accuracies on the same rows, with the bounds that the gates use.

    Args:
        counts: the rows by who was right.
        confidence: level of each bound, 0.5 to 1.
    """
    turned = counts.model_copy(
        update={"only_student": counts.only_other, "only_other": counts.only_student}
    )
    lower = difference_lower_bound(counts, confidence)
    upper = -difference_lower_bound(turned, confidence)
    standing: Standing = "level"
    if lower > 0:
        standing = "ahead"
    elif upper < 0:
        standing = "behind"
    difference = (counts.only_student - counts.only_other) / max(counts.rows, 1)
    return Comparison(difference, lower, upper, standing)


def distillation(evaluation: Evaluation) -> Finding:
    """Whether distillation helped, against labels alone and against pseudo-labels.

    It is about the float32 student, so that compression has no part in the answer.
    """
    hard = _against(evaluation, "hard_label")
    tone: Literal["good", "plain", "bad"] = "plain"
    if hard.standing == "ahead":
        headline, tone = "Yes, distillation helped.", "good"
    elif hard.standing == "behind":
        headline, tone = "No, distillation made the student worse.", "bad"
    elif hard.difference > 0:
        headline = "Perhaps: the student is ahead of labels alone, but not beyond chance."
    else:
        headline = "No, distillation did not help here."
    sentences = [_gap(evaluation), _paired(evaluation, "hard_label"), _pseudo_label(evaluation)]
    if not plain(evaluation):
        sentences.append("All of this is about the float32 student, before it was compressed.")
    return Finding(headline, tone, sentences)


def _against(evaluation: Evaluation, arm: ArmName) -> Comparison:
    return compare(evaluation.paired[arm], evaluation.confidence)


def _gap(evaluation: Evaluation) -> str:
    teacher, hard = evaluation.teacher, evaluation.arms["hard_label"]
    recovered = evaluation.gap_recovered
    if recovered is None:
        return (
            f"There was no gap to close: the teacher ({percent(teacher.accuracy)}) is not ahead of "
            f"the same student network trained on the labels alone ({percent(hard.accuracy)})."
        )
    opening = (
        f"The teacher is {points(teacher.accuracy - hard.accuracy).lstrip('+')} ahead of the same "
        "student network trained on the labels alone (the hard-label arm); "
    )
    if recovered <= 0:
        closing = "the distilled student closes none of that gap."
    elif recovered >= 1:
        closing = f"the distilled student closes all of it ({percent(recovered, 0)})."
    else:
        closing = f"the distilled student closes {percent(recovered, 0)} of that gap."
    gain = _against(evaluation, "hard_label")
    lead = teacher.accuracy - hard.accuracy
    least, most = (percent(bound / lead, 0) for bound in (gain.lower, gain.upper))
    closing += (
        f" By the {level(evaluation.confidence)} bounds of the student's gain, with the teacher's "
        f"lead as it was measured, it is {least} to {most}."
    )
    if teacher.accuracy_interval.lower < hard.accuracy_interval.upper:
        closing += (
            f" The gap is small for {integer(evaluation.rows)} test rows, so take that share as "
            "rough."
        )
    return opening + closing


def _pseudo_label(evaluation: Evaluation) -> str:
    meaning = {
        "ahead": "The teacher's soft probabilities add to its plain predictions.",
        "level": (
            "Plain pseudo-labels do as well here; a gain from soft probabilities is not shown."
        ),
        "behind": "Plain pseudo-labels do better here, and are the simpler choice.",
    }[_against(evaluation, "pseudo_label").standing]
    return f"{_paired(evaluation, 'pseudo_label')} {meaning}"


def relation(
    comparison: Comparison, confidence: float, student: str, other: str, digits: int = 1
) -> str:
    """A comparison as the first half of a sentence.

    Args:
        comparison: the student against the other.
        confidence: level of each of its bounds.
        student: how the student is called, such as ``the student``.
        other: how the other is called.
        digits: of the points.
    """
    name = student[0].upper() + student[1:]
    standing = {
        "ahead": f"{name} is ahead of {other}",
        "level": f"{name} and {other} cannot be told apart",
        "behind": f"{name} is behind {other}",
    }[comparison.standing]
    return (
        f"{standing}: {points(comparison.difference, digits)}, with {level(confidence)} bounds of "
        f"{points(comparison.lower, digits, '')} and {points(comparison.upper, digits, '')}"
    )


def _paired(evaluation: Evaluation, arm: ArmName) -> str:
    """The paired comparison in a sentence."""
    counts = evaluation.paired[arm]
    name = {
        "teacher": "the teacher",
        "hard_label": "the hard-label arm",
        "pseudo_label": "the pseudo-label arm",
        "champion": f"champion version {evaluation.champion_version}",
    }[arm]
    opening = relation(_against(evaluation, arm), evaluation.confidence, "the student", name)
    return (
        f"{opening} (it alone is right on {integer(counts.only_student)} rows, the other alone on "
        f"{integer(counts.only_other)})."
    )
