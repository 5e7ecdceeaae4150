"""A decision on half a page of Markdown, for a CI summary or the KFP UI."""

from collections.abc import Sequence

from components.evaluation import formatting
from components.evaluation.judging import sentences
from components.evaluation.judging.gate_units import gate_value
from components.shared.results import CandidateResult, Check, Decision, Evaluation

_VERDICTS = {"promote": "Promote", "reject": "Reject"}
_DIRECTIONS = {"at least": "≥", "at most": "≤", "above": ">"}


def as_markdown(decision: Decision, evaluation: Evaluation) -> str:
    """Verdict, gates, candidates and power.

    Args:
        decision: what was decided.
        evaluation: what it was decided on.
    """
    parts = [
        f"# {_VERDICTS[decision.verdict]}",
        _text(decision.summary),
        "\n".join(f"- **Warning:** {_text(warning)}" for warning in decision.warnings),
        _gates(decision),
        _candidates(decision, evaluation),
        sentences.about_power(decision.power) if decision.power else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _gates(decision: Decision) -> str:
    title = "## Gates" + (f" of {_text(decision.candidate)}" if decision.candidate else "")
    level = formatting.level(decision.confidence)
    header = ["Gate", "Observed", f"Bound ({level})", "Threshold", "Passed"]
    table = _table(header, [_gate(check) for check in decision.checks], "lrrrl")
    reasons = "\n".join(f"- {_text(check.reason)}" for check in decision.checks if not check.passed)
    return "\n\n".join(part for part in (title, table, reasons) if part)


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
        name = _text(judged.name)
        shown = f"**{name}**" if judged.name == decision.candidate else name
        rows.append([shown, _yes(judged.passed), *_figures(measured[judged.name])])
    return "\n\n".join(["## Candidates", _table(header, rows, "llrrr")])


def _figures(candidate: CandidateResult) -> list[str]:
    accuracy = candidate.measured.metrics.get("accuracy")
    latency = candidate.measured.latency
    return [
        formatting.percent(accuracy.value if accuracy else None),
        formatting.latency(latency[0].p95.value if latency else None),
        formatting.size(candidate.measured.size_bytes),
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    rules = [{"l": ":--", "r": "--:"}[side] for side in align]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rules, *rows])


def _yes(passed: bool) -> str:
    return "yes" if passed else "**no**"


def _text(text: str) -> str:
    """Text that Markdown shows as it is: slices and candidates are named by data and recipe."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")
