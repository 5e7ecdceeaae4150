"""Whether what was measured supports a promotion: pure, and judged on bounds."""

from typing import Literal, NamedTuple

from components.evaluation.comparing.policy import Policy
from components.shared.results import Agreement, LabelledComparison, Recommendation

JudgedBy = Literal["labels", "agreement", "nothing"]


class Judgement(NamedTuple):
    """What is recommended, and by what."""

    recommendation: Recommendation
    judged_by: JudgedBy


def judge(
    labelled: LabelledComparison | None, agreement: Agreement, rows: int, policy: Policy
) -> Judgement:
    """Judge a challenger by its accuracy where enough rows have a label, or else by agreement.

    Which of the two it is goes by the number of rows alone, not by what they say, so that there is
    one chance of error and not two. A challenger that is worse by exactly the margin is supported
    with probability 1 - confidence at most, and so is one that agrees exactly as often as is asked.

    Labels are what counts: two good models disagree on many rows on which one of them is wrong, so
    where labels judge, agreement does not.

    Args:
        labelled: the labelled rows; null where there are none.
        agreement: over all rows.
        rows: all rows.
        policy: margin, least agreement and least rows.
    """
    if labelled is not None and labelled.counts.rows >= policy.min_rows:
        standing = _standing(labelled.lower, labelled.upper, -policy.margin)
        return Judgement(standing, "labels")
    if rows >= policy.min_rows:
        standing = _standing(agreement.lower, agreement.upper, policy.min_agreement)
        return Judgement(standing, "agreement")
    return Judgement("inconclusive", "nothing")


def _standing(lower: float, upper: float, limit: float) -> Recommendation:
    """Against only what is shown to be below the limit; NaN shows nothing."""
    if lower >= limit:
        return "supports"
    if upper < limit:
        return "against"
    return "inconclusive"
