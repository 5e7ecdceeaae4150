"""What is told of a submitted run: JSON for scripts, Markdown for the summary of a CI job."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from components.shared.formatting import integer, interval, latency, percent, size
from components.shared.markdown import bullets, code, escape, table
from pipelines.kubeflow.runs import Started
from pipelines.kubeflow.states import Step, in_words
from pipelines.kubeflow.verdict import Judged


@dataclass(frozen=True)
class Told:
    """All that is known of a submission at its end."""

    recipe: str
    reason: str
    """Why it was submitted, or was not; empty where that was not asked."""
    run: Started | None = None
    state: str | None = None
    """Of the run: as the API calls it, or null where it was not followed to its end."""
    judged: Judged | None = None
    failed: list[Step] = field(default_factory=list)
    problem: str = ""
    """What went wrong, in one line."""

    def as_json(self, exit_status: int) -> dict[str, Any]:
        """Every field that a script may want; null for what is not known."""
        run, judged = self.run, self.judged
        value: dict[str, Any] = {
            "recipe": self.recipe,
            "submitted": run is not None,
            "reason": self.reason or None,
            "run_id": run and run.run_id,
            "run_name": run and run.name,
            "url": run and run.url,
            "attached": run and run.attached,
            "pipeline_version": run and run.version,
            "state": self.state,
            "verdict": judged and judged.verdict,
            "outcome": judged and judged.outcome,
            "summary": judged and judged.summary,
            "reasons": judged.reasons if judged else [],
            "model": judged
            and {"name": judged.model, "version": judged.version, "alias": judged.alias},
            "figures": dict(judged.figures) if judged else {},
            "mlflow_run_id": judged and judged.mlflow_run_id,
            "failed_steps": [{"step": s.name, "message": s.message or None} for s in self.failed],
            "exit_status": exit_status,
        }
        if self.problem:
            value["error"] = self.problem
        return value

    def as_markdown(self) -> str:
        """A section of a CI job's summary."""
        parts = [f"### {escape(self.recipe)}: {self._headline()}"]
        if self.reason:
            parts.append(escape(self.reason))
        if self.judged is not None:
            parts += _judged_parts(self.judged)
        if self.failed:
            parts.append(bullets([_failure(step) for step in self.failed]))
        elif self.problem:
            parts.append(escape(self.problem))
        if self.run is not None:
            link = f"[{escape(self.run.name)}]({self.run.url})"
            parts.append(f"Run {link}, pipeline version {code(self.run.version)}.")
        return "\n\n".join(parts) + "\n"

    def _headline(self) -> str:
        if self.run is None:
            return "not submitted"
        if self.judged is not None:
            return headline(self.judged)
        if self.problem:
            ends = {None: "not at its end", "SUCCEEDED": "its verdict is not known"}
            return ends.get(self.state, in_words(self.state))
        return "attached to the run under way" if self.run.attached else "submitted"


def headline(judged: Judged) -> str:
    """The end in a word or two."""
    if judged.verdict == "reject":
        return "rejected"
    words = {"promoted": "promoted", "challenger": "passed, waits for approval"}
    return words.get(judged.outcome or "", "passed")


def figure_rows(judged: Judged) -> list[tuple[str, str]]:
    """Names and values of the figures that are there, as people read them."""
    figures = judged.figures
    rows = []
    if "accuracy" in figures:
        text = percent(figures["accuracy"])
        if "accuracy_lower" in figures and "accuracy_upper" in figures:
            text += f" ({interval(figures['accuracy_lower'], figures['accuracy_upper'])})"
        rows.append(("accuracy", text))
    forms: dict[str, Callable[[float], str]] = {
        "retention": percent,
        "gap_recovered": lambda share: percent(share, 0),
        "latency_p50_ms": latency,
        "latency_p95_ms": latency,
        "size_bytes": size,
        "parameters": lambda count: integer(int(count)),
    }
    names = {"latency_p50_ms": "latency p50", "latency_p95_ms": "latency p95", "size_bytes": "size"}
    rows += [
        (names.get(name, name.replace("_", " ")), form(figures[name]))
        for name, form in forms.items()
        if name in figures
    ]
    return rows


def _judged_parts(judged: Judged) -> list[str]:
    parts = [escape(judged.summary)] if judged.summary else []
    rows = figure_rows(judged)
    if rows:
        parts.append(table(("figure", "value"), rows, "lr"))
    if judged.version:
        alias = f" ({code(judged.alias)})" if judged.alias else ""
        parts.append(f"Registered as {code(judged.model)} version {judged.version}{alias}.")
    if judged.reasons:
        parts.append(bullets([escape(reason) for reason in judged.reasons]))
    return parts


def _failure(step: Step) -> str:
    return f"**{escape(step.name)}** failed{': ' + escape(step.message) if step.message else ''}"
