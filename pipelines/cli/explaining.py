"""``--explain``: every gate of every candidate, in words."""

from components.shared.results import CandidateDecision, Check, Decision
from pipelines.cli.console import console, say


def show_decision(decision: Decision) -> None:
    """Print what was judged, the candidate that the verdict is about first."""
    about_first = sorted(decision.candidates, key=lambda one: one.name != decision.candidate)
    for judged in about_first:
        _show_candidate(judged, chosen=judged.name == decision.candidate)
    if not decision.candidates:
        _show_checks(decision.checks)
    console.print()
    say(decision.summary)


def _show_candidate(judged: CandidateDecision, chosen: bool) -> None:
    console.print()
    state = "passes" if judged.passed else "fails"
    note = ", the one that the verdict is about" if chosen else ""
    console.print(f"[bold]{judged.name}[/] {state}{note}")
    _show_checks(judged.checks)


def _show_checks(checks: list[Check]) -> None:
    for check in checks:
        sign = "[green]✓[/]" if check.passed else "[red]✗[/]"
        console.print(f"  {sign} ", end="")
        say(check.reason)
