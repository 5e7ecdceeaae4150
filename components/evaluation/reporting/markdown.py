"""A decision on half a page of Markdown, for a CI summary or the KFP UI."""

from collections.abc import Sequence

from components.evaluation.judging import sentences
from components.evaluation.judging.gate_units import gate_value
from components.evaluation.reporting.section_diagnosis import outcome
from components.shared import formatting
from components.shared.markdown import bullets, escape, table
from components.shared.results import CandidateResult, Check, Decision, Evaluation
from components.shared.results.diagnosis import Diagnosis

_VERDICTS = {"promote": "Promote", "reject": "Reject"}
_DIRECTIONS = {"at least": "≥", "at most": "≤", "above": ">"}


def as_markdown(
    decision: Decision, evaluation: Evaluation, about_the_data: Sequence[str] = ()
) -> str:
    """Verdict, gates, candidates, power and diagnosis.

    Args:
        decision: what was decided.
        evaluation: what it was decided on.
        about_the_data: what the checks of the data warn of.
    """
    parts = [
        f"# {_VERDICTS[decision.verdict]}",
        escape(decision.summary),
        "\n".join(f"- **Warning:** {escape(warning)}" for warning in decision.warnings),
        "\n".join(f"- **Data:** {escape(remark)}" for remark in about_the_data),
        _gates(decision),
        _candidates(decision, evaluation),
        sentences.about_power(decision.power) if decision.power else "",
        _diagnosis(evaluation.diagnosis) if evaluation.diagnosis else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _gates(decision: Decision) -> str:
    title = "## Gates" + (f" of {escape(decision.candidate)}" if decision.candidate else "")
    level = formatting.level(decision.confidence)
    header = ["Gate", "Observed", f"Bound ({level})", "Threshold", "Passed"]
    gates = table(header, [_gate(check) for check in decision.checks], "lrrrl")
    reasons = "\n".join(
        f"- {escape(check.reason)}" for check in decision.checks if not check.passed
    )
    return "\n\n".join(part for part in (title, gates, reasons) if part)


def _diagnosis(diagnosis: Diagnosis) -> str:
    """What is worth knowing; of the rest, how much there is of it."""
    items = [
        f"**{finding.severity.capitalize()}:** {escape(f'{finding.statement} {finding.advice}')}"
        for finding in diagnosis.notable
    ]
    title = "## Why distillation did or did not help"
    return "\n\n".join([title, f"{outcome(diagnosis).capitalize()}.", bullets(items)]).rstrip()


def _gate(check: Check) -> list[str]:
    return [
        f"`{check.gate}`",
        gate_value(check.gate, check.observed),
        gate_value(check.gate, check.bound),
        f"{_DIRECTIONS[check.direction]} {gate_value(check.gate, check.threshold)}",
        _yes(check.passed),
    ]


def _candidates(decision: Decision, evaluation: Evaluation) -> str:
    if not decision.candidates:
        return ""
    header = ["Candidate", "Passed", "Accuracy", "Latency p95", "Size"]
    measured = {candidate.name: candidate for candidate in evaluation.candidates}
    rows = []
    for judged in decision.candidates:
        name = escape(judged.name)
        shown = f"**{name}**" if judged.name == decision.candidate else name
        rows.append([shown, _yes(judged.passed), *_figures(measured[judged.name])])
    return "\n\n".join(["## Candidates", table(header, rows, "llrrr")])


def _figures(candidate: CandidateResult) -> list[str]:
    accuracy = candidate.measured.metrics.get("accuracy")
    latency = candidate.measured.latency
    return [
        formatting.percent(accuracy.value if accuracy else None),
        formatting.latency(latency[0].p95.value if latency else None),
        formatting.size(candidate.measured.size_bytes),
    ]


def _yes(passed: bool) -> str:
    return "yes" if passed else "**no**"
