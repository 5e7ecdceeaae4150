"""Reading a rendered report in tests."""

import report_example as example

from components.evaluation.reporting.report import ReportContext, render_report
from components.shared.bundle import ModelBundle
from components.shared.results import ArmName, ChampionRecord, Evaluation
from tests.evaluation.html_page import Page

__all__ = ["Page", "render"]


def render(
    evaluation: Evaluation,
    champion: ChampionRecord = example.FIRST,
    bundles: dict[ArmName, ModelBundle] | None = None,
    context: ReportContext = example.CONTEXT,
    gates: dict[str, object] = example.GATES,
) -> Page:
    """The report of an evaluation, judged by the example's gates or others."""
    decision = example.make_decision(evaluation, gates)
    bundles = bundles or example.make_bundles()
    return Page(render_report(evaluation, decision, bundles, champion, context))
