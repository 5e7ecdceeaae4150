import math

import pytest
import report_example as example

from components.evaluation.reporting.listing import listed
from components.evaluation.reporting.section_candidates import faster, smaller
from components.evaluation.reporting.section_champion import power_sentences
from components.evaluation.reporting.section_latency import noise_sentences
from components.evaluation.reporting.section_slices import MOST_VALUES, slices_section, worst_slice
from components.evaluation.reporting.section_verdict import outcome, sureness
from components.shared.results import (
    Decision,
    Estimate,
    Evaluation,
    Noise,
    Percentile,
    Power,
    SliceResult,
)
from tests.evaluation.reporting.report_draws import SEGMENTS
from tests.evaluation.reporting.report_page import Page, render

NO_BREAK = "\u00a0"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return example.full(noise=0.1)


@pytest.fixture(scope="module")
def decision(evaluation: Evaluation) -> Decision:
    return example.make_decision(evaluation)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> Page:
    return render(evaluation, example.champion_record())


def segments(*milliseconds: float) -> Percentile:
    return Percentile(value=1.0, lower=0.9, upper=1.1, segments=list(milliseconds))


def a_slice(value: str, rows: int, accuracy: float) -> SliceResult:
    reach = 0.98 / math.sqrt(rows)
    estimate = Estimate(
        value=accuracy,
        centre=accuracy,
        standard_error=reach / 2,
        lower=accuracy - reach,
        upper=accuracy + reach,
    )
    return SliceResult(column="site", value=value, rows=rows, metrics={"accuracy": estimate})


def test_head_says_which_candidate_is_deployed_and_what_to_keep_in_mind(
    page: Page, decision: Decision
) -> None:
    verdict = page.text("section", id="verdict")
    assert f"digits-student is to be deployed as {decision.candidate}" in verdict
    assert decision.warnings
    for warning in decision.warnings:
        assert " ".join(warning.split()) in verdict


def test_rejection_names_the_closest_candidate(evaluation: Evaluation) -> None:
    gates = example.GATES | {"accuracy": {"min": 0.99}}
    rejected = example.make_decision(evaluation, gates)
    assert outcome(evaluation, rejected) == "passed in none of its 4 forms"
    page = render(evaluation, gates=gates)
    (closest,) = page.all("tr", class_="chosen")[:1]
    assert closest[2].startswith(f"{rejected.candidate} closest")


def test_without_any_candidate_the_page_stands_on_the_float32_student() -> None:
    evaluation = example.make_evaluation(candidates=(), skipped=(example.SKIPPED,))
    page = render(evaluation)
    assert page.text("h1") == "Rejected"
    assert "could not be made in any form" in page.text("section", id="verdict")
    assert example.SKIPPED.reason in page.text("section", id="candidates")
    assert page.all("table", class_="candidates") == []


def test_student_that_may_not_be_deployed_is_a_reference_in_the_chart() -> None:
    evaluation = example.make_evaluation(candidates=("int8_static",))
    models = listed(evaluation, example.make_decision(evaluation))
    assert [(model.key, model.look) for model in models[:2]] == [
        ("int8_static", "student"),
        ("student", "reference"),
    ]
    assert models[1].title == "float32"


def test_every_candidate_is_listed_with_its_gates_and_the_skipped_with_the_reason(
    evaluation: Evaluation,
) -> None:
    page = render(evaluation, gates=example.GATES | {"size": {"max_bytes": 3_000}})
    (table,) = page.all("table", class_="candidates")
    rows = {}
    for _, _, text in page.all("tr"):
        rows.setdefault(text.partition(" ")[0], text)
    assert [name for name in rows if name in example.CANDIDATES] == list(example.CANDIDATES)
    assert "✕ failedsize.max_bytes" in rows["float32"]
    assert "✓ passed" in rows["int8_static"]
    assert "1.49\u00d7 as fast" in rows["int8_static"]
    assert "not faster on this machine: takes 1.5" in rows["int8_dynamic"]
    assert "2.2\u00d7 smaller" in rows["int8_static"]
    assert "the reference" in rows["float32"]
    assert example.SKIPPED.name not in table[2]
    assert example.SKIPPED.reason in page.text("section", id="candidates")


@pytest.mark.parametrize(
    ("latency", "words"),
    [
        (segments(*[0.5] * 12), "2.00\u00d7 as fast"),
        (segments(*[0.98, 1.02] * 6), "not faster on this machine"),
        (segments(*[2.0] * 12), "not faster on this machine: takes 2.00\u00d7 as long"),
        (segments(*[0.5] * 3), "not measured"),
        (segments(*[math.nan] * 12), "not measured"),
        (segments(*[0.0] * 12), "not measured"),
    ],
)
def test_candidate_is_called_faster_only_beyond_what_chance_explains(
    latency: Percentile, words: str
) -> None:
    assert faster(latency, segments(*[1.0] * 12), 0.95) == words


def test_few_segments_support_no_claim() -> None:
    assert faster(segments(0.5, 0.5), segments(1.0, 1.0), 0.95) == "not faster on this machine"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (250, "4.0\u00d7 smaller"),
        (990, "not smaller"),
        (1500, "1.50\u00d7 larger"),
        (0, "not measured"),
    ],
)
def test_file_is_called_smaller_only_where_it_is(count: int, words: str) -> None:
    assert smaller(count, 1000) == words


def test_confidence_for_several_candidates_is_explained(decision: Decision) -> None:
    words = sureness(decision).replace(NO_BREAK, " ")
    assert "Each bound holds at 98.75 % confidence" in words
    assert "asks for 95 %" in words
    assert "divided by 4" in words


def test_champion_is_compared_on_the_counts_and_the_bound_of_the_gate(
    page: Page, evaluation: Evaluation, decision: Decision
) -> None:
    (check,) = [one for one in decision.checks if one.gate == "gates.champion.max_regression"]
    found = evaluation.candidate(decision.candidate)
    assert found
    assert check.bound is not None
    counts = found.paired["champion"]
    section = page.text("section", id="champion").replace(NO_BREAK, " ")
    assert f"bounds of {100 * check.bound:.2f}".replace("-", "\u2212") in section
    cells = [int(text) for _, _, text in page.all("td", class_="n") if text in section.split()]
    for count in (counts.both, counts.only_student, counts.only_other, counts.neither):
        assert count in cells
    assert "McNemar's exact test" in section
    assert "margin \u22122 points" in [
        text.replace(NO_BREAK, " ") for _, _, text in page.all("text", class_="gate-title")
    ]


def test_champion_without_a_gate_has_no_margin(evaluation: Evaluation) -> None:
    page = render(evaluation, gates=example.GATES | {"champion": None})
    assert page.all("rect", class_="forbidden") == []
    assert page.all("div", id="power") == []
    assert "The gate tolerates" not in page.text("section", id="champion")


def test_power_says_how_many_rows_a_small_test_set_lacks() -> None:
    fields = {"rows": 797, "discordance": 0.03, "margin": 0.005, "detectable": 0.0142}
    small = power_sentences(Power(**fields, power=0.7999, rows_needed=5213))
    assert small[0] == (
        "This test set is too small for its margin: about 5,213 rows would be needed."
    )
    assert "79 times of 100" in small[1]
    assert "1.42" in small[2]
    enough = power_sentences(Power(**fields, power=0.93, rows_needed=600))
    assert "93 times of 100" in enough[0]
    assert not any("too small" in sentence for sentence in enough)
    never = power_sentences(Power(**fields | {"margin": 0}, power=0.05, rows_needed=None))
    assert "no number of rows" in never[0]


def test_worst_slice_is_named_and_the_champion_stands_beside(
    page: Page, evaluation: Evaluation
) -> None:
    section = page.text("section", id="slices")
    assert "is site = Lima" in section
    assert page.all("tr", class_="worst")[0][2].startswith("Lima worst")
    champion = [one for one in evaluation.arms["champion"].slices if one.value == "Lima"]
    accuracy = champion[0].metrics["accuracy"].value
    assert f"{100 * accuracy:.1f}" in page.all("tr", class_="worst")[0][2]


def test_slices_with_few_rows_are_not_called_worst() -> None:
    tiny, bad, good = a_slice("a", 10, 0.2), a_slice("b", 100, 0.8), a_slice("c", 100, 0.9)
    assert worst_slice([tiny, good, bad], 30) is bad
    assert worst_slice([tiny], 30) is None


def test_column_of_many_values_shows_the_worst() -> None:
    many = [a_slice(f"shop {n}", 100, 0.5 + n / 200) for n in range(60)]
    result = example.make_evaluation().arms["student"].model_copy(update={"slices": many})
    section = slices_section(result, None, 30)
    assert section
    (table,) = section.tables
    assert [row.value for row in table.rows] == [f"shop {n}" for n in range(MOST_VALUES)]
    assert table.left_out == 60 - MOST_VALUES
    assert not section.champion


def test_every_metric_of_every_model_stands_in_the_table_with_its_interval(
    page: Page, evaluation: Evaluation, decision: Decision
) -> None:
    (table,) = page.all("table", class_="metrics")
    for model in listed(evaluation, decision):
        kl, auroc = (model.result.metrics.get(name) for name in ("kl_to_teacher", "auroc"))
        assert auroc
        assert f"{auroc.value:.3f}{auroc.lower:.3f} to {auroc.upper:.3f}" in table[2]
        assert (kl is None) is (model.key == "teacher")


def test_calibration_is_shown_of_the_model_that_the_verdict_is_on_and_of_the_teacher(
    page: Page, decision: Decision
) -> None:
    assert decision.candidate == "int8_static"
    titles = [text for _, _, text in page.all("title") if text.startswith("Calibration of")]
    assert titles == ["Calibration of int8_static", "Calibration of Teacher"]


def test_latency_of_every_model_is_drawn_over_time(page: Page, evaluation: Evaluation) -> None:
    models = len(evaluation.arms) + 3
    for name in ("of-p50", "of-p95", "of-p99"):
        lines = page.all("path", class_=name)
        assert len(lines) == models
        assert all(line[1]["d"].count("L") == SEGMENTS - 1 for line in lines)
    (table,) = page.all("table", class_="conditions")
    assert table[2].startswith("Model 1 row a call, 1 thread 1 row a call, 2 threads 64 rows a")


def test_noise_is_said_with_its_figures() -> None:
    quiet = noise_sentences(Noise(drift=0.06, preempted=0.01, limit=0.25, attempts=1))
    assert quiet[0].startswith("The machine was quiet")
    assert "6" in quiet[0]
    loud = noise_sentences(Noise(drift=0.3, preempted=0.01, limit=0.25, attempts=3))
    assert loud[0].startswith("The machine was noisy")
    assert "3 attempts" in loud[1]
    assert "Ratios between models hold better" in loud[2]
