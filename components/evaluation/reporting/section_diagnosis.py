"""The report's answer to why distillation did or did not help."""

from collections import Counter
from dataclasses import dataclass

from components.shared.formatting import level
from components.shared.results.diagnosis import Diagnosis, Finding, Severity

WORDS: dict[Severity, str] = {
    "problem": "problem",
    "hint": "hint",
    "clear": "in order",
    "unsettled": "not settled",
    "not_measured": "not measured",
}


@dataclass(frozen=True)
class DiagnosisSection:
    """What the section shows."""

    lead: str
    notable: list[Finding]
    others: list[Finding]
    """What is in order first, then what is not settled or not measured."""
    words: dict[Severity, str]


def diagnosis_section(diagnosis: Diagnosis | None) -> DiagnosisSection | None:
    """The section; null where the evaluation has no diagnosis."""
    if diagnosis is None:
        return None
    others = [
        finding
        for kind in ("clear", "unsettled", "not_measured")
        for finding in diagnosis.findings
        if finding.severity == kind
    ]
    lead = (
        f"Why distillation did or did not help: {outcome(diagnosis)}. Each bound is one-sided at "
        f"{level(round(diagnosis.level, 3))}: the chance that anything here is wrongly called sure "
        f"or in order is at most {level(round(1 - diagnosis.confidence, 5))}. What the rows do not "
        "tell is not settled."
    )
    return DiagnosisSection(lead, diagnosis.notable, others, WORDS)


def outcome(diagnosis: Diagnosis) -> str:
    """How many of the questions came to which answer: ``1 problem, 6 in order, 2 not settled``."""
    found = Counter(finding.severity for finding in diagnosis.findings)
    plural = {"problem": "problems", "hint": "hints"}
    return ", ".join(
        f"{found[kind]} {plural.get(kind, word) if found[kind] > 1 else word}"
        for kind, word in WORDS.items()
        if found[kind]
    )
