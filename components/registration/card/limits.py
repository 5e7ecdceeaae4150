"""What the figures do not say, and the gates that were judged."""

from collections.abc import Iterator

from components.registration.card.section import Section, listed
from components.registration.card.weak_spots import FEW_ROWS
from components.registration.submission import Submission
from components.shared.formatting import integer, level, points
from components.shared.markdown import bullets, code, escape
from components.shared.recipe.card import CardSpec


def limits(submission: Submission, card: CardSpec) -> Section:
    """In the words of the recipe first, then what follows from how it was measured."""
    items = [escape(card.limits)] if card.limits else []
    items += _measured(submission)
    items += [escape(warning) for warning in submission.decision.warnings]
    return Section("Limits", bullets(items), 2)


def gates(submission: Submission) -> Section:
    """Every gate with its reason."""
    decision = submission.decision
    items = [
        f"{'passed' if check.passed else '**failed**'}, {code(check.gate)}: {escape(check.reason)}"
        for check in decision.checks
    ]
    title = f"Gates, judged at {level(decision.confidence)} confidence"
    return Section(title, bullets(items), 4)


def _measured(submission: Submission) -> Iterator[str]:
    evaluation = submission.evaluation
    measured = evaluation.measured(submission.decision.candidate)
    yield (
        "Other data, later data and a shift of the data were not measured, nor was it attacked on "
        "purpose."
    )
    accuracy = measured.metrics["accuracy"]
    yield (
        f"With {integer(evaluation.rows)} test rows, its accuracy is only known to within "
        f"{points((accuracy.upper - accuracy.lower) / 2).lstrip('+')} or so."
    )
    few = [one.name for one in measured.per_class if one.rows < FEW_ROWS]
    if few:
        yield (
            f"Classes with fewer than {FEW_ROWS} test rows, whose figures say little: "
            f"{listed(few, 6)}."
        )
    if not measured.slices:
        yield "Whether it is worse for some group of rows is not known: no slices were asked for."
    if submission.deployable.batch_dependent:
        yield (
            "Rows of one call change each other's predictions a little, since activations are "
            "quantised by the range that they have in the call. It was measured with "
            f"{integer(measured.latency_ms.batch_size)} rows in a call, and should be served so."
        )
