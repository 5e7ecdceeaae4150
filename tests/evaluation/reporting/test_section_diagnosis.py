"""How the report and the summary tell why distillation did or did not help."""

import pytest
import report_example as example
from report_page import Page, render

from components.evaluation.reporting.markdown import as_markdown
from components.evaluation.reporting.section_diagnosis import WORDS, diagnosis_section, outcome
from components.shared.results import Evaluation
from components.shared.results.diagnosis import Diagnosis, Figure, Finding, Severity


def made(severity: Severity, advice: str = "") -> Finding:
    return Finding(
        topic="pool_size",
        title=f"Is it <{severity}>?",
        severity=severity,
        statement=f"Found | {severity}.",
        figures=[
            Figure(name="Gap", value=0.031, lower=0.012, upper=0.05, unit="points"),
            Figure(name="Agreement", value=0.9, lower=0.88, upper=0.92, unit="share"),
            Figure(name="Rows", value=1234.0, lower=None, upper=None, unit="rows"),
        ],
        rule=f"The rule of {severity}.",
        source=f"The source of {severity}",
        advice=advice,
    )


ALL: list[Severity] = ["not_measured", "unsettled", "clear", "hint", "problem", "problem"]
DIAGNOSIS = Diagnosis(
    confidence=0.95, level=0.9944, findings=[made(one, f"Do {one}.") for one in ALL]
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return example.make_evaluation().model_copy(update={"diagnosis": DIAGNOSIS})


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> Page:
    return render(evaluation)


def test_problems_and_hints_come_first_with_figures_bounds_rule_source_and_advice(
    page: Page,
) -> None:
    text = page.text("section", id="diagnosis").replace("\u00a0", " ")
    assert "2 problems, 1 hint, 1 in order, 1 not settled, 1 not measured" in text
    assert "at most 5 %" in text
    assert text.index("Is it <problem>?") < text.index("Is it <hint>?") < text.index("Question")
    for kind in ("problem", "hint"):
        for told in (f"Found | {kind}.", f"Do {kind}.", f"The rule of {kind}.", "The source of"):
            assert told in text
    assert "+3.1 points, +1.2 to +5.0 points" in text
    assert "90.0 %, 88.0 to 92.0 %" in text
    assert "Rows 1,234" in text
    assert page.unbalanced == []


def test_other_answers_stand_in_a_table_with_their_rules_below(page: Page) -> None:
    ((_, _, table),) = page.all("table", class_="answers")
    for kind in ("clear", "unsettled", "not_measured"):
        assert f"Is it <{kind}>? {WORDS[kind]} Found | {kind}. Do {kind}." in table
    assert "problem" not in table
    rules = page.text("details")
    assert "The rule of unsettled. The source of unsettled." in rules


def test_an_evaluation_without_diagnosis_has_no_section(evaluation: Evaluation) -> None:
    older = evaluation.model_copy(update={"diagnosis": None})
    assert diagnosis_section(None) is None
    assert render(older).all("section", id="diagnosis") == []
    assert "Why" not in as_markdown(example.make_decision(older), older)


def test_the_summary_has_problems_and_hints(evaluation: Evaluation) -> None:
    text = as_markdown(example.make_decision(evaluation), evaluation)
    told = text.partition("## Why distillation did or did not help\n\n")[2].splitlines()
    assert told == [
        "2 problems, 1 hint, 1 in order, 1 not settled, 1 not measured.",
        "",
        "- **Problem:** Found &#124; problem. Do problem.",
        "- **Problem:** Found &#124; problem. Do problem.",
        "- **Hint:** Found &#124; hint. Do hint.",
    ]


def test_where_all_is_well_nothing_is_listed() -> None:
    well = Diagnosis(confidence=0.95, level=0.99, findings=[made("clear")])
    assert outcome(well) == "1 in order"
    quiet = example.make_evaluation().model_copy(update={"diagnosis": well})
    assert render(quiet).all("ul", class_="diagnoses") == []
    assert as_markdown(example.make_decision(quiet), quiet).endswith("help\n\n1 in order.\n")
