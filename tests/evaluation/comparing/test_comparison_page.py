"""The page of a comparison: whole by itself, and readable wide and narrow."""

import re
from pathlib import Path

import numpy as np
import pytest

from components.evaluation.comparing.page import render_page
from components.shared.results import Comparison
from tests.evaluation.browser import CHROMIUM, measure
from tests.evaluation.comparing.conftest import Compare, MakeRegistered
from tests.evaluation.html_page import Page

LONG_NAMES = [f"Sphyrna-lewini-with-a-name-of-one-word-{number:03d}" for number in range(100)]


@pytest.fixture
def labelled(make_registered: MakeRegistered, compare: Compare) -> Comparison:
    return compare(make_registered("champion", "2", 0.9), make_registered("challenger", "3", 0.02))


@pytest.fixture
def many_classes(make_registered: MakeRegistered, compare: Compare) -> Comparison:
    weights = np.random.default_rng(0).normal(size=(4, 100))
    models = [
        make_registered(role, version, noise, weights=weights, classes=LONG_NAMES)
        for role, version, noise in (("champion", "many-2", 0.5), ("challenger", "many-3", 0.1))
    ]
    return compare(*models, rows=3000, labelled=0)


def test_page_says_what_was_found_and_what_to_keep_in_mind(labelled: Comparison) -> None:
    page = Page(render_page(labelled))
    assert page.unbalanced == []
    assert page.text("h1") == "Fresh rows support it"
    assert page.text("p", class_="summary") == labelled.summary
    shown = page.text("div", class_="warnings")
    assert labelled.warnings
    assert all(warning in shown for warning in labelled.warnings)
    assert "version 3 against champion version 2" in page.text("p", class_="subject")


@pytest.mark.parametrize(
    ("recommendation", "look", "headline"),
    [
        ("against", "reject", "Fresh rows speak against it"),
        ("inconclusive", "open", "Not settled yet"),
    ],
)
def test_every_recommendation_has_a_look_of_its_own(
    labelled: Comparison, recommendation: str, look: str, headline: str
) -> None:
    changed = labelled.model_copy(update={"recommendation": recommendation})
    page = Page(render_page(changed))
    assert page.text("h1") == headline
    assert page.all("section", class_=look)


def test_page_needs_nothing_from_outside_and_runs_nothing(labelled: Comparison) -> None:
    page = Page(render_page(labelled))
    assert not page.all("script")
    assert not re.findall(r"https?://", page.source.replace("http://www.w3.org/2000/svg", ""))
    assert [found["href"] for _, found, _ in page.all("link")] == ["data:,"]


def test_page_names_rows_by_id_and_shows_who_was_right(labelled: Comparison) -> None:
    page = Page(render_page(labelled))
    (ids,) = page.all("ul", class_="ids")
    assert all(row.id in ids[2] for row in labelled.most_different)
    assert labelled.labelled is not None
    counts = page.text("table", class_="paired")
    assert str(labelled.labelled.counts.only_student) in counts


def test_page_without_labels_has_no_accuracies(
    make_registered: MakeRegistered, compare: Compare
) -> None:
    old, new = make_registered("champion", "2", 0.02), make_registered("challenger", "3", 0.03)
    page = Page(render_page(compare(old, new, labelled=0)))
    assert "no fresh row has a label" in page.source
    assert not page.all("table", class_="paired")


def test_of_many_classes_the_largest_changes_and_disagreements_are_listed(
    many_classes: Comparison,
) -> None:
    page = Page(render_page(many_classes))
    assert not page.all("table", class_="matrix")
    assert "75 more change less" in page.source
    assert len(many_classes.disagreements) == 20
    assert many_classes.disagreements[0].champion in page.text("section", id="confusion")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to render with")
def test_nothing_overflows_in_a_browser(
    labelled: Comparison, many_classes: Comparison, tmp_path: Path
) -> None:
    pages = {"labelled": render_page(labelled), "many classes": render_page(many_classes)}
    measured = list(measure(tmp_path, pages, widths=(390, 768, 1440)))
    assert len(measured) == len(pages) * 3
    for result in measured:
        assert result["scroll"] <= result["width"], result
        assert result["outside"] == [], result
        assert not result["clash"], result
