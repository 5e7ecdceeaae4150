"""The card's account of why distillation did or did not help."""

from components.registration.card.section import Section
from components.registration.submission import Submission
from components.shared.markdown import bullets, escape


def diagnosis(submission: Submission) -> Section | None:
    """Problems and hints; nothing where there is none, or nothing was asked."""
    found = submission.evaluation.diagnosis
    if found is None or not found.notable:
        return None
    items = [
        f"{escape(finding.title)} **{finding.severity.capitalize()}:** {escape(finding.statement)}"
        for finding in found.notable
    ]
    return Section("Why distillation did or did not help", bullets(items), 13)
