from collections.abc import Callable

import pytest
import report_example as example

from components.evaluation.reporting.listing import listed
from components.evaluation.reporting.report import ReportContext, render_report
from components.shared import formatting
from components.shared.bundle import Candidate, SizeSearch, TriedSize
from components.shared.recipe.models import MlpSpec
from components.shared.recipe.objectives import Dist, Schedule
from components.shared.results import Evaluation, SkippedCandidate
from tests.evaluation.reporting.report_draws import SEGMENTS
from tests.evaluation.reporting.report_page import Page, render

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def promoted() -> Page:
    return render(example.make_evaluation())


@pytest.fixture(scope="module")
def rejected() -> Page:
    return render(
        example.with_champion(),
        example.champion_record(),
        gates=example.GATES | {"latency": {"p95_ms": 1e-5}},
    )


@pytest.fixture(scope="module")
def full() -> Page:
    return render(example.full(), example.champion_record())


def sections(page: Page) -> list[str | None]:
    return [attributes.get("id") for _, attributes, _ in page.all("section")]


def test_first_model_of_one_form_has_no_section_without_something_to_say(promoted: Page) -> None:
    assert sections(promoted) == [
        "verdict",
        "distillation",
        None,
        "diagnosis",
        "tradeoff",
        "gates",
        "changes",
        "models",
        "latency",
        "calibration",
        "confusion",
        "curves",
        "settings",
        "provenance",
    ]
    assert promoted.unbalanced == []
    assert promoted.text("h1") == "Promotion earned"
    assert promoted.all("path", class_="front") == []
    assert "Other conditions" not in promoted.text("section", id="latency")
    assert "Each bound holds at 95 % confidence." in promoted.text("section", id="gates")


def test_candidates_champion_and_slices_have_sections_where_there_are_any(full: Page) -> None:
    extra = [name for name in sections(full) if name in {"candidates", "champion", "slices"}]
    assert extra == ["candidates", "champion", "slices"]
    assert full.unbalanced == []
    assert "Other conditions" in full.text("section", id="latency")


def test_failing_gate_is_named_with_its_figures_before_anything_else(rejected: Page) -> None:
    assert rejected.text("h1") == "Rejected"
    (failures,) = rejected.all("ul", class_="failures")
    assert failures[2].startswith("gates.latency.p95_ms observed 8.82 µs bound 9.36 µs")
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
    skipped = SkippedCandidate(name=HOSTILE, reason=HOSTILE)
    evaluation = example.full(classes=[f"{HOSTILE}{n}" for n in range(classes)], skipped=(skipped,))
    slices = [
        one.model_copy(update={"column": HOSTILE, "value": f"{HOSTILE}{n}"})
        for n, one in enumerate(evaluation.arms["student"].slices)
    ]
    hostile = [
        one.model_copy(
            update={
                "how": HOSTILE,
                "measured": one.measured.model_copy(update={"slices": slices}),
            }
        )
        for one in evaluation.candidates
    ]
    evaluation = evaluation.model_copy(update={"candidates": hostile})
    context = ReportContext(
        recipe={**example.RECIPE, "name": HOSTILE, HOSTILE: HOSTILE},
        run_id=f'"{HOSTILE}',
        source=HOSTILE,
        created=example.CONTEXT.created,
        versions={HOSTILE: HOSTILE},
    )
    decision = example.make_decision(evaluation)
    decision = decision.model_copy(
        update={
            "summary": HOSTILE,
            "warnings": [HOSTILE],
            "verdict": "reject",
            "checks": [
                check.model_copy(update={"reason": HOSTILE, "passed": False})
                for check in decision.checks
            ],
        }
    )
    champion = example.champion_record(version=HOSTILE)
    bundles = example.make_bundles()
    page = Page(render_report(evaluation, decision, bundles, champion, context))
    assert page.all("script") == []
    assert page.unbalanced == []
    assert page.text("p", class_="summary") == HOSTILE
    assert f"{HOSTILE}1" in " ".join(text for _, _, text in page.all("th", class_="name"))


@pytest.mark.parametrize("build", [example.make_evaluation, example.with_champion, example.full])
def test_every_model_is_labelled_in_both_charts(build: Callable[[], Evaluation]) -> None:
    evaluation = build()
    page = render(evaluation)
    models = listed(evaluation, example.make_decision(evaluation))
    assert len({model.key for model in models}) == len(models)
    for model in models:
        wide, _ = page.all("g", class_="arm-label", **{"data-model": model.key})
        assert model.title in wide[2]
        assert formatting.percent(model.result.accuracy).split()[0] in wide[2]
        assert formatting.size(model.result.size_bytes).split()[0] in wide[2]


def test_gates_are_lines_in_the_chart_or_named_at_its_edge(promoted: Page, rejected: Page) -> None:
    def titles(page: Page) -> set[str]:
        return {text for _, _, text in page.all("text", class_="gate-title")}

    assert titles(promoted) == {
        "gate: accuracy 90 %",
        "gate: 93 % of the teacher",
        "gate: p95 1 ms →",
    }
    assert "← gate: p95 10 ns" in titles(rejected)


def test_every_chart_has_title_and_description_of_its_own(rejected: Page) -> None:
    identities = [a["id"] for _, a, _ in rejected.elements if "id" in a]
    assert len(identities) == len(set(identities))
    charts = rejected.all("svg", role="img")
    gap, tradeoff, champion, latencies, reliability, curves = 1, 2, 1, 5, 2, 4
    assert len(charts) == gap + tradeoff + champion + latencies + reliability + curves
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
    page = render(example.changed(evaluation, per_class=[never, *student.per_class[1:]]))
    (table,) = page.all("table", class_="classes")
    assert f"0 80 {formatting.MISSING}" in table[2]


def test_teacher_of_another_run_has_no_curve_and_the_page_says_so() -> None:
    page = render(example.make_evaluation(), bundles=example.make_bundles(trained_teacher=False))
    assert "this run did not train it" in page.text("section", id="curves")
    assert page.all("title", id="curve-teacher-title") == []
    assert page.all("title", id="curve-student-title")


def test_chosen_setting_is_marked_with_its_judge(promoted: Page) -> None:
    section = promoted.text("section", id="settings")
    assert "agreement with the teacher on 150 held-out training rows" in section
    rows = [text for _, _, text in promoted.all("tr", class_="chosen")]
    assert rows[0] == "✓chosen 1,600 2 1 94.4 % ± 1.6 %"
    assert "Teacher: one setting, nothing to choose" in section
    assert "Method: KD (divergence of soft labels)" in section
    assert section.count("Method") == 1, "baselines learn from classes"


def test_methods_that_differ_stand_in_a_column_and_schedules_are_shown() -> None:
    bundles = example.make_bundles()
    dist = Candidate(
        steps=400,
        objectives=[Dist(kind="dist", weight=0.5)],
        temperature=Schedule(start=4, end=1),
        weight=0.9,
        score=0.95,
        standard_error=0.01,
    )
    selection = bundles["student"].selection
    assert selection is not None
    tried = [*selection.candidates[:2], dist]
    changed = selection.model_copy(update={"candidates": tried, "chosen": 2})
    bundles["student"] = bundles["student"].model_copy(update={"selection": changed})
    page = render(example.make_evaluation(), bundles=bundles)
    rows = [text for _, _, text in page.all("tr", class_="chosen")]
    told = "0.5 · DIST (correlations, beta 2, gamma 2)"
    assert rows[0] == f"✓chosen 400 {told} 4 → 1 0.9 95.0 % ± 1.0 %"
    assert "Method:" not in page.text("section", id="settings")


def test_sizes_that_were_tried_are_told_and_the_one_that_was_taken_is_marked() -> None:
    bundles = example.make_bundles()
    student = bundles["student"]
    assert student.selection is not None

    def page_of(*enough: bool) -> Page:
        sizes = [
            TriedSize(
                model=MlpSpec(family="mlp", hidden=[width]),
                parameters=75 * width,
                agreement=0.9,
                standard_error=0.02,
                enough=one,
            )
            for width, one in zip((32, 16), enough, strict=True)
        ]
        size = SizeSearch(needed=0.88, held_out=150, sizes=4, tried=sizes)
        selection = student.selection and student.selection.model_copy(update={"size": size})
        bundles["student"] = student.model_copy(update={"selection": selection})
        return render(example.make_evaluation(), bundles=bundles)

    page = page_of(True, True)
    settings = page.text("section", id="settings")
    assert (
        "Size: the smallest of 4 that is enough, as far as 2 trials by bisection can tell."
        in settings
    )
    assert "an agreement of 88.0 % with the labels that it learns from, on 150 held-out" in settings
    assert "None that was tried is" not in settings
    assert "MLP, hidden 32, gelu 2,400 90.0 % ± 2.0 % yes" in settings
    marked = [text for _, _, text in page.all("tr", class_="chosen")]
    assert marked[0] == "MLP, hidden 16, gelu 1,200 90.0 % ± 2.0 % yes"
    none = page_of(False, False).text("section", id="settings")
    assert "None that was tried is, so that a larger one was taken." in none


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
    page = render(example.with_champion(trained_on), example.champion_record())
    champion = page.text("section", id="champion")
    assert "version 3" in page.text("section", id="provenance")
    assert (note is None) == ("Read the champion's accuracy with care" not in champion)
    assert note is None or note in champion


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
    assert "none: it was the first model" in provenance


def test_figures_that_are_not_finite_are_named_and_not_drawn() -> None:
    evaluation = example.make_evaluation()
    measured = evaluation.arms["student"].latency_ms
    nan = float("nan")
    slow = measured.p95.model_copy(
        update={"value": nan, "upper": nan, "segments": [nan] * SEGMENTS}
    )
    latency = measured.model_copy(update={"p50": slow, "p95": slow, "p99": slow})
    page = render(example.changed(evaluation, latency=[latency]))
    assert page.text("h1") == "Rejected"
    assert "Latency, p95 not finite" in page.text("ul", class_="tiles")
    assert page.all("g", class_="arm-label", **{"data-model": "float32"}) == []
    assert page.all("g", class_="arm-label", **{"data-model": "teacher"})
    assert "No segment has a finite latency" in page.text("section", id="latency")
    assert '"nan"' not in page.source
