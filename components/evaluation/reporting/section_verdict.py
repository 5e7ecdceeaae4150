"""What the report says at its head: which candidate the verdict is on, and how sure it is."""

from typing import Any

from components.evaluation.reporting.listing import plain
from components.shared.formatting import counted, level
from components.shared.results import Decision, Evaluation

_PREFERENCES = {
    "latency": "one that is at least 5 % faster replaces those before it in the recipe",
    "size": "one that is at least 5 % smaller replaces those before it in the recipe",
    "accuracy": "one that is more accurate by over one standard error replaces those before it in "
    "the recipe",
}


def outcome(evaluation: Evaluation, decision: Decision) -> str:
    """How the verdict came about, as the end of a sentence that begins with the model's name."""
    gates = counted(len(decision.checks), "gate")
    failed = sum(not check.passed for check in decision.checks)
    every = "its" if len(decision.checks) == 1 else "all"
    result = f"failed {failed} of {gates}" if failed else f"passed {every} {gates}"
    if not evaluation.candidates:
        return "could not be made in any form that may be deployed"
    if plain(evaluation):
        return result
    if len(evaluation.candidates) == 1:
        return f"as {decision.candidate} {result}"
    if decision.verdict == "promote":
        return f"is to be deployed as {decision.candidate}"
    return f"passed in none of its {len(evaluation.candidates)} forms"


def choice(decision: Decision, recipe: dict[str, Any]) -> str:
    """Why this candidate among several; empty where there was no choice."""
    if sum(judged.passed for judged in decision.candidates) < 2:
        return ""
    preference = _PREFERENCES[recipe["gates"].get("prefer", "latency")]
    return f"Of those that passed, {preference}."


def sureness(decision: Decision) -> str:
    """At which confidence every bound holds, and why that is more than the recipe asks for."""
    bounds = f"Each bound holds at {level(decision.confidence)} confidence"
    count = len(decision.candidates)
    if count < 2:
        return f"{bounds}."
    asked = 1 - (1 - decision.confidence) * count
    return (
        f"{bounds}. The recipe asks for {level(asked)}, but the best of {count} candidates is "
        f"deployed, and a choice among several is more easily lucky; so the chance of error is "
        f"divided by {count} (Bonferroni)."
    )
