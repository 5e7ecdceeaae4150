"""The report of a student that learned through assistants."""

import pytest
import report_example as example

from components.evaluation.reporting.section_chain import links
from components.shared.bundle import ModelBundle
from components.shared.lineage import Stage
from components.shared.recipe.models import MlpSpec
from tests.evaluation.reporting.report_page import render

STAGES = [
    Stage(
        digest=digest * 64,
        model=MlpSpec(family="mlp", hidden=[hidden]),
        parameters=parameters,
        steps=800,
        objectives=["dist"],
        agreement=agreement,
        standard_error=error,
        accuracy=0.98,
    )
    for digest, hidden, parameters, agreement, error in (
        ("c", 64, 4_810, 0.93, 0.02),
        ("d", 32, 2_410, None, None),
    )
]


@pytest.fixture
def student() -> ModelBundle:
    return example.make_bundles()["student"].model_copy(update={"assistants": STAGES})


def test_every_stage_has_a_line_with_its_figures(student: ModelBundle) -> None:
    teacher = example.make_bundles()["teacher"].digest
    first, second, last = links(student, teacher)
    assert (first.title, first.teacher, first.network) == (
        "Assistant 1",
        "Teacher",
        "MLP, hidden 64, gelu",
    )
    assert (first.agreement, first.accuracy) == ("93.0\u00a0% ± 2.0\u00a0%", "98.0\u00a0%")
    assert (second.teacher, second.agreement) == ("Assistant 1", "—")
    assert (last.title, last.teacher, last.accuracy) == ("Student", "Assistant 2", "—")
    assert last.agreement == "94.4\u00a0% ± 1.6\u00a0%"


def test_page_says_whose_labels_the_student_learned_from(student: ModelBundle) -> None:
    bundles = example.make_bundles() | {"student": student}
    page = render(example.make_evaluation(), bundles=bundles)
    told = page.text("section", id="chain")
    assert "The student learned from the labels of assistant 2" in told
    assert "4,810" in told
    provenance = page.text("section", id="provenance")
    assert "Assistant 1, model bundle" in provenance
    assert STAGES[1].digest in provenance


def test_page_without_assistants_has_no_chain(student: ModelBundle) -> None:
    assert not render(example.make_evaluation()).all("section", id="chain")
    assert links(student, STAGES[-1].digest) == [], "its teacher was an assistant of an earlier run"
