"""The report's latencies: their course, the other conditions, and how quiet the machine was."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.reporting.chart_latency import latency_panel, span
from components.evaluation.reporting.listing import Model, Shown
from components.shared.formatting import counted, percent
from components.shared.results import Latency, Noise


@dataclass(frozen=True)
class Conditions:
    """All models under all conditions of the recipe."""

    titles: list[str]
    rows: list[tuple[Model, list[Latency]]]


def latency_panels(models: Sequence[Shown]) -> list[tuple[Shown, Markup]]:
    """One drawing a model, on axes of the same ratio."""
    ratio = span(models)
    return [(model, latency_panel(model, ratio)) for model in models]


def conditions(models: Sequence[Model]) -> Conditions:
    """A column a condition, the one that gates judge first."""
    first = models[0].result.latency
    return Conditions(
        titles=[condition(latency) for latency in first],
        rows=[(model, model.result.latency) for model in models],
    )


def condition(latency: Latency) -> str:
    """Batch size and threads in words."""
    return f"{counted(latency.batch_size, 'row')} a call, {counted(latency.threads, 'thread')}"


def noise_sentences(noise: Noise) -> list[str]:
    """How quiet the machine was, and what that means for the figures."""
    figures = (
        f"between segments the models' latencies drifted by {percent(noise.drift, 0)}, and for "
        f"{percent(noise.preempted)} of the time the measuring process had to wait for a processor "
        f"(from {percent(noise.limit, 0)} of either on, a machine counts as noisy)"
    )
    attempts = (
        "It was measured once."
        if noise.attempts == 1
        else f"The quietest of {noise.attempts} attempts is shown."
    )
    if not noise.noisy:
        return [f"The machine was quiet: {figures}.", attempts]
    return [
        f"The machine was noisy: {figures}.",
        attempts,
        "Read the milliseconds with care. Ratios between models hold better, since all took turns.",
    ]
