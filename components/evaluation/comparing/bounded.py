"""Agreement and difference in accuracy, with the bounds that are judged: pure."""

from components.evaluation.comparing import sentences
from components.evaluation.comparing.policy import Policy
from components.evaluation.judging.power import measured_power
from components.evaluation.measuring.estimates import one_sided
from components.evaluation.reporting.statements import compare
from components.shared.results import Agreement, Estimate, LabelledComparison, PairedCounts


def bounded_agreement(estimate: Estimate, rows: int, policy: Policy) -> Agreement:
    """How often both predict the same class.

    Args:
        estimate: share of the rows.
        rows: at least one.
        policy: names the level.
    """
    return Agreement(
        estimate=estimate,
        lower=one_sided(estimate, "agreement", rows, policy.confidence, "lower"),
        upper=one_sided(estimate, "agreement", rows, policy.confidence, "upper"),
    )


def bounded_difference(
    counts: PairedCounts, challenger: str, champion: str, policy: Policy
) -> LabelledComparison:
    """The two models on the rows that have a label.

    Args:
        counts: the challenger is the ``student`` of the counts; at least one row.
        challenger: its version.
        champion: its version.
        policy: names level and margin.
    """
    found = compare(counts, policy.confidence)
    return LabelledComparison(
        counts=counts,
        difference=found.difference,
        lower=found.lower,
        upper=found.upper,
        sentence=sentences.difference(found, counts.rows, challenger, champion, policy),
        power=measured_power(counts, policy.margin, policy.confidence),
    )
