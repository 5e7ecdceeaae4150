"""The page of a comparison: one HTML file that needs nothing but itself, in the report's look."""

from dataclasses import dataclass

from markupsafe import Markup

from components.evaluation.comparing import page_tables
from components.evaluation.reporting import confusion
from components.evaluation.reporting.chart_interval import interval_plot
from components.evaluation.reporting.environment import environment
from components.evaluation.reporting.listing import Look
from components.evaluation.reporting.section_candidates import faster
from components.evaluation.reporting.section_latency import (
    condition,
    latency_panels,
    noise_sentences,
)
from components.evaluation.reporting.section_metrics import metric_table
from components.evaluation.reporting.statements import compare
from components.shared.results import ComparedModel, Comparison

_HEADLINES = {
    "supports": "Fresh rows support it",
    "against": "Fresh rows speak against it",
    "inconclusive": "Not settled yet",
}


@dataclass(frozen=True)
class Side:
    """One of the two models, as tables and charts show it."""

    key: str
    title: str
    meaning: str
    look: Look
    result: ComparedModel
    open: bool = False
    ring: bool = False


def render_page(comparison: Comparison) -> str:
    """Write the page.

    Returns:
        An HTML page without scripts and without references to anything outside of it. It names rows
        by their ids, and shows none of their values.
    """
    sides = _sides(comparison)
    new, old = comparison.challenger.latency, comparison.champion.latency
    template = environment().get_template("comparison.html.j2")
    return template.render(
        comparison=comparison,
        created=comparison.created,
        headline=_HEADLINES[comparison.recommendation],
        tiles=page_tables.tiles(comparison),
        drawing=_drawing(comparison),
        metrics=metric_table(sides) if comparison.labelled else None,
        matrix=_matrix(comparison),
        classes=page_tables.class_table(comparison),
        panels=latency_panels(sides),
        condition=condition(new),
        faster=faster(new.p50, old.p50, comparison.confidence),
        noise=noise_sentences(comparison.noise),
        origin=page_tables.origin(comparison.rows),
        provenance=page_tables.provenance(comparison),
    )


def _sides(comparison: Comparison) -> list[Side]:
    new, old = comparison.challenger, comparison.champion
    return [
        Side("challenger", f"Challenger v{new.version}", "waits for approval", "student", new),
        Side("champion", f"Champion v{old.version}", "what serving reads now", "champion", old),
    ]


def _drawing(comparison: Comparison) -> Markup | None:
    """The difference on the labelled rows; null where there are none."""
    if comparison.labelled is None:
        return None
    found = compare(comparison.labelled.counts, comparison.confidence)
    return interval_plot(found, comparison.margin, "the challenger", "the champion")


def _matrix(comparison: Comparison) -> list[confusion.MatrixRow] | None:
    """The champion's classes by the challenger's; null where there are too many to show all."""
    if len(comparison.classes) > confusion.MOST_CLASSES:
        return None
    return confusion.matrix(comparison.confusion, comparison.classes)
