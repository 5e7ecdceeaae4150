import dataclasses
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import report_example as example

from components.evaluation import formatting, statements
from components.evaluation.chart_labels import Box, Request, place
from components.evaluation.chart_panels import thin
from components.evaluation.chart_tradeoff import spread
from components.evaluation.charts import linear_ticks, log_ticks, tag
from components.evaluation.report import render_report
from components.shared.bundle import CurvePoint
from components.shared.results import Evaluation, PairedCounts

HOSTILE = "<script>alert('x')</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
APART = {"td", "th", "dt", "dd", "p", "h2", "h3", "li"}
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and the text inside."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.unbalanced: list[str] = []
        self.feed(source)
        self.close()
        self.unbalanced += [element[0] for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {key: value or "" for key, value in attrs}, [])
        self.elements.append(element)
        if tag in APART:
            self.handle_data(" ")
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop()[0] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[str, dict[str, str], str]]:
        """Elements by tag and attributes (``class`` as one of its words), with their text."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [
            (name, found, " ".join("".join(text).split()))
            for name, found, text in self.elements
            if name == tag
            and all(
                value in found.get(key, "").split() if key == "class" else found.get(key) == value
                for key, value in wanted.items()
            )
        ]

    def text(self, tag: str, **attributes: str) -> str:
        """Text of the only element that fits."""
        (element,) = self.all(tag, **attributes)
        return element[2]


def render(evaluation: Evaluation, **gates: object) -> Page:
    decision = example.make_decision(evaluation, **gates)
    return Page(render_report(evaluation, decision, example.make_bundles(), example.CONTEXT))


@pytest.fixture(scope="module")
def promoted() -> Page:
    return render(example.make_evaluation())


@pytest.fixture(scope="module")
def rejected() -> Page:
    return render(example.with_champion(), latency={"p95_ms": 0.00001})


def test_sections_come_in_the_order_in_which_they_are_asked_for(promoted: Page) -> None:
    sections = [attributes.get("id") for _, attributes, _ in promoted.all("section")]
    assert sections == [
        "verdict",
        "distillation",
        None,
        "tradeoff",
        "gates",
        "arms",
        "curves",
        "candidates",
        "confusion",
        "calibration",
        "provenance",
    ]
    assert promoted.unbalanced == []
    assert promoted.text("h1") == "Promotion earned"


def test_failing_gate_is_named_with_its_figures_before_anything_else(rejected: Page) -> None:
    assert rejected.text("h1") == "Rejected"
    (failures,) = rejected.all("ul", class_="failures")
    assert failures[2].startswith("gates.latency.p95_ms observed 8.08 µs bound 8.32 µs")
    assert "must be at most 10 ns" in failures[2]
    body = rejected.source[rejected.source.index("<h1") :]
    assert body.index("gates.latency.p95_ms") < body.index("Did distillation help")
    first_gate = rejected.all("table", class_="gates")[0][2].partition("Threshold")[2]
    assert first_gate.strip().startswith("gates.latency.p95_ms")


def test_page_refers_to_nothing_outside_of_it_and_runs_nothing(rejected: Page) -> None:
    for name, attributes, _ in rejected.elements:
        assert name not in {"script", "iframe", "object", "embed", "base", "form", "img"}
        assert not [key for key in attributes if key.startswith("on")]
        for key in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            assert attributes.get(key, "data:,").startswith(("data:", "#")), (name, attributes)
    style = rejected.text("style")
    assert "@import" not in style
    assert "url(" not in rejected.source
    assert "//" not in style


@pytest.mark.parametrize("classes", [10, 40])
def test_hostile_names_stay_text(classes: int) -> None:
    evaluation = example.make_evaluation(classes=[f"{HOSTILE}{n}" for n in range(classes)])
    context = dataclasses.replace(
        example.CONTEXT,
        recipe=HOSTILE,
        run_id=f'"{HOSTILE}',
        model=HOSTILE,
        source=HOSTILE,
        digests={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
    )
    decision = example.make_decision(evaluation)
    decision = decision.model_copy(
        update={
            "summary": HOSTILE,
            "verdict": "reject",
            "checks": [
                check.model_copy(update={"reason": HOSTILE, "passed": False})
                for check in decision.checks
            ],
        }
    )
    page = Page(render_report(evaluation, decision, example.make_bundles(), context))
    assert page.all("script") == []
    assert page.unbalanced == []
    assert page.text("p", class_="summary") == HOSTILE
    assert f"{HOSTILE}1" in " ".join(text for _, _, text in page.all("th", class_="name"))


def test_svg_helper_escapes_text_and_attributes() -> None:
    assert tag("text", "<b>", fill='"&') == '<text fill="&#34;&amp;">&lt;b&gt;</text>'


@pytest.mark.parametrize("champion", [False, True])
def test_every_arm_is_labelled_in_both_charts(champion: bool) -> None:
    evaluation = example.with_champion() if champion else example.make_evaluation()
    page = render(evaluation)
    for name in evaluation.arms:
        labels = page.all("g", class_="arm-label", **{"data-arm": name})
        assert len(labels) == 2, name
        assert formatting.percent(evaluation.arms[name].accuracy).split()[0] in labels[0][2]
    table = page.all("table")[1][2]
    assert ("Champion v3" in table) is champion


def test_gates_are_lines_in_the_chart_or_named_at_its_edge(promoted: Page, rejected: Page) -> None:
    def titles(page: Page) -> set[str]:
        return {text for _, _, text in page.all("text", class_="gate-title")}

    assert titles(promoted) == {
        "gate: accuracy 90 %",
        "gate: 93 % of the teacher",
        "gate: p95 1 ms",
    }
    assert "← gate: p95 10 ns" in titles(rejected)


def test_every_chart_has_title_and_description_of_its_own(rejected: Page) -> None:
    identities = [a["id"] for _, a, _ in rejected.elements if "id" in a]
    assert len(identities) == len(set(identities))
    charts = rejected.all("svg", role="img")
    assert len(charts) == 1 + 2 + 4 + 2
    for _, attributes, _ in charts:
        for identity in attributes["aria-labelledby"].split():
            words = [
                text for name in ("title", "desc") for _, _, text in rejected.all(name, id=identity)
            ]
            assert len(words) == 1
            assert words[0]


def test_many_classes_show_the_most_confused_pairs() -> None:
    names = [f"kind {n}, " + "long " * 12 for n in range(100)]
    page = render(example.make_evaluation(classes=names))
    assert page.all("table", class_="matrix") == []
    assert "20 most confused pairs" in page.text("section", id="confusion")
    assert len(page.all("th", class_="name")) == 20 + 100


def test_two_classes_show_the_whole_matrix() -> None:
    evaluation = example.make_evaluation(classes=["benign", "malignant"])
    page = render(evaluation)
    cells = page.all("td", class_="hit") + page.all("td", class_="miss")
    assert sorted(int(text) for _, _, text in cells) == sorted(
        count for line in evaluation.arms["student"].confusion for count in line if count
    )


def test_class_that_is_never_predicted_has_a_dash_for_precision() -> None:
    evaluation = example.make_evaluation()
    student = evaluation.arms["student"]
    never = student.per_class[0].model_copy(update={"precision": None, "f1": None})
    student = student.model_copy(update={"per_class": [never, *student.per_class[1:]]})
    page = render(evaluation.model_copy(update={"arms": {**evaluation.arms, "student": student}}))
    (table,) = page.all("table", class_="classes")
    assert f"0 80 {formatting.MISSING}" in table[2]


def test_teacher_of_another_run_has_no_curve_and_the_page_says_so() -> None:
    evaluation = example.make_evaluation()
    page = Page(
        render_report(
            evaluation,
            example.make_decision(evaluation),
            example.make_bundles(trained_teacher=False),
            example.CONTEXT,
        )
    )
    assert "this run did not train it" in page.text("section", id="curves")
    assert page.all("title", id="curve-teacher-title") == []
    assert page.all("title", id="curve-student-title")


def test_chosen_candidate_is_marked_with_its_judge(promoted: Page) -> None:
    section = promoted.text("section", id="candidates")
    assert "agreement with the teacher on 150 held-out training rows" in section
    rows = [text for _, _, text in promoted.all("tr", class_="chosen")]
    assert rows[0] == "✓chosen 1,600 2 1 94.4 % ± 1.6 %"
    assert "Teacher: one setting, nothing to choose" in section


def test_no_gap_is_said_plainly_and_drawn_nowhere() -> None:
    evaluation = example.make_evaluation(
        {"teacher": 0.91, "student": 0.9, "hard_label": 0.93, "pseudo_label": 0.95}
    )
    page = render(evaluation)
    finding = page.text("section", id="distillation")
    assert "No, distillation made the student worse." in finding
    assert "There was no gap to close" in finding
    assert "Plain pseudo-labels do better here" in finding
    assert page.all("title", id="gap-title") == []
    assert "Gap recovered no gap" in page.text("ul", class_="tiles")


@pytest.mark.parametrize(
    ("hard", "headline"),
    [
        (0.905, "Yes, distillation helped."),
        (0.946, "Perhaps: the student is ahead of labels alone, but not beyond chance."),
        (0.954, "No, distillation did not help here."),
        (0.985, "No, distillation made the student worse."),
    ],
)
def test_headline_says_no_more_than_the_paired_counts(hard: float, headline: str) -> None:
    evaluation = example.make_evaluation({**example.ACCURACY, "hard_label": hard})
    assert statements.distillation(evaluation).headline == headline


def test_comparison_is_level_until_the_bounds_leave_out_zero() -> None:
    counts = PairedCounts(both=90, only_student=6, only_other=2, neither=2)
    level = statements.compare(counts, 0.95)
    assert (level.difference, level.standing) == (0.04, "level")
    assert level.lower < 0 < level.upper
    many = PairedCounts(both=900, only_student=60, only_other=20, neither=20)
    assert statements.compare(many, 0.95).standing == "ahead"
    turned = PairedCounts(both=900, only_student=20, only_other=60, neither=20)
    assert statements.compare(turned, 0.95).standing == "behind"


@pytest.mark.parametrize(
    ("trained_on", "note"),
    [
        (example.DATASET, None),
        ("ee" * 32, "trained on another data set digest"),
        (None, "not recorded which data"),
    ],
)
def test_champion_that_may_have_seen_the_test_rows_is_flagged(
    trained_on: str | None, note: str | None
) -> None:
    provenance = render(example.with_champion(trained_on)).text("section", id="provenance")
    assert "version 3" in provenance
    assert (note is None) == ("Read the champion's accuracy with care" not in provenance)
    assert note is None or note in provenance


def test_provenance_holds_every_digest(promoted: Page) -> None:
    provenance = promoted.text("section", id="provenance")
    bundles = example.make_bundles()
    arms = example.make_evaluation().arms
    for digest in (
        example.DATASET,
        *(bundle.digest for bundle in bundles.values()),
        *(arm.model_digest for arm in arms.values()),
    ):
        assert digest in provenance
    assert "builtin://digits" in provenance
    assert "none: there was no champion" in provenance


def test_figures_that_are_not_finite_are_named_and_not_drawn() -> None:
    evaluation = example.make_evaluation()
    student = evaluation.arms["student"]
    nan = float("nan")
    slow = student.latency_ms.p95.model_copy(update={"value": nan, "upper": nan})
    latency = student.latency_ms.model_copy(update={"p50": slow, "p95": slow, "p99": slow})
    student = student.model_copy(update={"latency_ms": latency})
    page = render(evaluation.model_copy(update={"arms": {**evaluation.arms, "student": student}}))
    assert page.text("h1") == "Rejected"
    assert "Latency, p95 not finite" in page.text("ul", class_="tiles")
    assert page.all("g", class_="arm-label", **{"data-arm": "student"}) == []
    assert '"nan"' not in page.source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.percent(0.945), "94.5 %"),
        (formatting.percent(None), "—"),
        (formatting.percent(float("inf")), "not finite"),
        (formatting.points(0.046), "+4.6 points"),
        (formatting.points(-0.0001), "0.0 points"),
        (formatting.points(-0.012), "\u22121.2 points"),
        (formatting.latency(0.0123), "12.3 µs"),
        (formatting.latency(0.0062), "6.20 µs"),
        (formatting.latency(0.00001), "10.0 ns"),
        (formatting.latency(0.99996), "1.00 ms"),
        (formatting.latency(12_345), "12.3 s"),
        (formatting.short(formatting.latency(1)), "1 ms"),
        (formatting.short(formatting.latency(100)), "100 ms"),
        (formatting.size(5384), "5.4 kB"),
        (formatting.size(210_432), "210 kB"),
        (formatting.size(999), "999 B"),
        (formatting.gate_value("gates.champion.max_regression", -0.02), "\u22122.0 points"),
        (formatting.gate_value("gates.calibration.max", 0.05), "0.05"),
        (formatting.interval(0.934, 0.964), "93.4 to 96.4 %"),
    ],
)
def test_numbers_read_as_people_write_them(text: str, expected: str) -> None:
    assert text.replace("\u00a0", " ") == expected


def test_ticks_are_round_and_inside() -> None:
    assert linear_ticks(0.87, 0.975, 6) == [0.88, 0.9, 0.92, 0.94, 0.96]
    assert log_ticks(0.004, 1.5, 6) == pytest.approx([0.01, 0.03, 0.1, 0.3, 1])
    assert log_ticks(0.0051, 0.0079, 6) == []


def test_points_at_one_place_are_spread_and_keep_their_order() -> None:
    moved = spread([100.0, 101.0, 99.0, 300.0], 17)
    assert moved == [100.0, 117.0, 83.0, 300.0]
    crowd = spread([0.0, 10.0, 25.0, 26.0, 60.0], 17)
    assert all(b - a >= 17 - 1e-9 for a, b in pairwise(sorted(crowd)))


def test_labels_of_points_at_one_place_cover_nothing() -> None:
    area = Box(0, 0, 400, 300)
    points = [Request(100 + 17 * n, 150, 90, 30) for n in range(5)]
    drawn = [Box(point.x - 5, 100, 10, 100) for point in points]
    labels = place(points, drawn, area)
    for position, label in enumerate(labels):
        assert not any(label.overlaps(other, 0) for other in labels[position + 1 :] + drawn)
        assert label.x >= 0
        assert label.x + label.width <= 400


def test_long_curves_are_thinned_to_their_means() -> None:
    curve = [CurvePoint(step=step, loss=float(step)) for step in range(1, 1001)]
    thinned = thin(curve, 100)
    assert len(thinned) == 100
    assert thinned[0] == CurvePoint(step=10, loss=5.5)
    assert thinned[-1].step == 1000


MEASURE = """
<script>
addEventListener("load", () => {
  const results = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, seen = frame.contentWindow;
    const labels = page.querySelectorAll(".arm-label, .gate-title");
    const boxes = [...labels].map(e => e.getBoundingClientRect())
      .filter(b => b.width > 0);
    const clash = boxes.some((a, i) => boxes.slice(i + 1).some(b =>
      a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
    const outside = [...page.querySelectorAll("main *")].filter(e => !e.closest(".scroll, .hidden"))
      .filter(e => { const b = e.getBoundingClientRect();
        return b.width > 0 && (b.left < -1 || b.right > seen.innerWidth + 1); })
      .map(e => e.outerHTML.slice(0, 120));
    return { page: frame.title, width: seen.innerWidth, scroll: page.documentElement.scrollWidth,
      labels: boxes.length, clash, outside };
  });
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(results);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to render with")
def test_nothing_overflows_or_overlaps_in_a_browser(tmp_path: Path) -> None:
    long_names = [f"Sphyrna-lewini-with-a-name-of-one-word-{n:03d}" for n in range(100)]
    tie = dict.fromkeys(example.ACCURACY, 0.95)
    pages = {
        "champion, rejected": render(example.with_champion("ee" * 32), latency={"p95_ms": 1e-5}),
        "hundred classes": render(example.make_evaluation(classes=long_names)),
        "25 classes": render(example.make_evaluation(classes=long_names[:25])),
        "two classes, all arms alike": render(
            example.make_evaluation({**tie, "champion": 0.95}, ["no", "yes"], "12")
        ),
    }
    measured = list(_measure(tmp_path, pages, widths=(390, 768, 1440)))
    assert len(measured) == len(pages) * 3
    for result in measured:
        assert result["scroll"] <= result["width"], result
        assert result["outside"] == [], result
        assert result["labels"] >= 4, result
        assert not result["clash"], result


def _measure(folder: Path, pages: dict[str, Page], widths: tuple[int, ...]) -> Iterator[dict]:
    """Lay the pages out in frames of some widths, which a window could not be as narrow as."""
    frames = [
        f'<iframe title="{title}" style="width:{width}px;height:900px;border:0" '
        f'srcdoc="{html.escape(page.source)}"></iframe>'
        for title, page in pages.items()
        for width in widths
    ]
    wrapper = folder / "frames.html"
    wrapper.write_text(f"<!DOCTYPE html><meta charset=utf-8>{MEASURE}<body>{''.join(frames)}")
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        wrapper.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<pre>(\[.*\])</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    yield from json.loads(html.unescape(found[1]))
