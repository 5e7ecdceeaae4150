"""What is found, and what is not, from which measurements."""

from typing import get_args

import pytest
from diagnosis_example import (
    CALIBRATION,
    HELD_OUT,
    ROWS,
    WELL,
    candidate,
    counts,
    finding,
    measured,
    of_candidates,
    student,
)

from components.evaluation.diagnosis.diagnose import QUESTIONS, diagnose
from components.evaluation.diagnosis.measured import Measured
from components.shared.bundle import Followed, ModelBundle
from components.shared.lineage import Stage
from components.shared.recipe.objectives import Kd
from components.shared.results import CalibrationBin
from components.shared.results.diagnosis import Topic
from tests.evaluation.judging.evaluation_factory import changed


def test_every_question_has_an_answer_with_rule_source_and_figures() -> None:
    found = diagnose(measured())
    assert [one.topic for one in found.findings] == list(get_args(Topic))
    assert len(found.findings) == QUESTIONS
    assert found.level == pytest.approx(1 - 0.05 / 9)
    assert {one.severity for one in found.findings} == {"clear"}
    assert found.notable == []
    for one in found.findings:
        assert one.rule.endswith(".")
        assert one.source
        assert one.figures
        for figure in one.figures:
            if figure.lower is not None:
                assert figure.lower <= figure.value <= figure.upper


def test_what_is_not_measured_is_said_to_be() -> None:
    older = changed(of_candidates(WELL), "selection.held_out", None)
    older = changed(older, "selection.fitted", None)
    for bundle in (None, older):
        found = measured(bundle=bundle, lead=None, coverage=None)
        severities = {one.topic: one.severity for one in diagnose(found).findings}
        missing = {topic for topic, severity in severities.items() if severity == "not_measured"}
        assert missing == set(get_args(Topic)) - {"help", "teacher_calibration"}


def test_an_evaluation_without_checks_of_the_data_has_no_coverage() -> None:
    known = measured()
    alone = Measured.of(known.evaluation, ROWS, WELL, None)
    assert alone.coverage is None


@pytest.mark.parametrize(
    ("ahead", "behind", "severity"),
    [(120, 10, "clear"), (12, 10, "problem"), (0, 0, "problem"), (10, 120, "problem")],
)
def test_a_teacher_that_is_not_ahead_leaves_nothing_to_distil(
    ahead: int, behind: int, severity: str
) -> None:
    found = finding("teacher_lead", lead=counts(ahead, behind))
    assert found.severity == severity
    assert ("nothing to distil" in found.statement) == (severity == "problem")
    assert bool(found.advice) == (severity == "problem")
    assert found.figures[0].value == pytest.approx((ahead - behind) / 2000)


def test_a_lead_that_few_rows_do_not_show_is_not_settled() -> None:
    found = finding("teacher_lead", lead=counts(6, 3, rows=150))
    assert found.severity == "unsettled"
    assert "150 test rows" in found.statement


@pytest.mark.parametrize(
    ("gain", "beside", "severity", "says"),
    [
        (counts(100, 10), counts(20, 20), "clear", "gained +4.5"),
        (counts(25, 5), counts(20, 20), "clear", "gained +1.0"),
        (counts(12, 10), counts(5, 5), "problem", "no better than labels alone"),
        (counts(10, 100), counts(5, 5), "problem", "no better than labels alone"),
        (counts(100, 10), counts(5, 60), "hint", "plain classes teach better"),
        (counts(40, 30), counts(5, 60), "hint", "plain classes teach better"),
        (counts(50, 30), counts(20, 20), "unsettled", "do not tell"),
    ],
)
def test_no_help_is_said_only_where_a_gain_is_ruled_out(
    gain: object, beside: object, severity: str, says: str
) -> None:
    found = finding("help", gain=gain, beside=beside)
    assert (found.severity, says in found.statement) == (severity, True)


@pytest.mark.parametrize(
    ("confidence", "accuracy", "rows", "severity", "says"),
    [
        (0.95, 0.95, 2000, "clear", "about right"),
        (0.99, 0.87, 2000, "hint", "too sure"),
        (0.75, 0.90, 2000, "hint", "not sure enough"),
        (0.95, 0.88, 60, "unsettled", "do not tell"),
    ],
)
def test_calibration_is_judged_by_bounds_and_its_direction_is_told(
    confidence: float, accuracy: float, rows: int, severity: str, says: str
) -> None:
    bins = [CalibrationBin(rows=rows, confidence=confidence, accuracy=accuracy)]
    found = finding("teacher_calibration", calibration=bins)
    assert (found.severity, says in found.statement) == (severity, True)
    if severity == "hint":
        assert ("higher" if says == "too sure" else "lower") + " candidates" in found.advice
        assert "helped no student" in found.advice


@pytest.mark.parametrize(
    ("shorter", "longer", "severity"),
    [
        (0.97, 0.98, "clear"),
        (0.88, 0.88, "problem"),
        (0.80, 0.88, "hint"),
        (0.94, 0.945, "unsettled"),
    ],
)
def test_a_student_that_cannot_follow_where_it_was_fitted_has_too_little_capacity(
    shorter: float, longer: float, severity: str
) -> None:
    pair = [candidate(1600, 0.87, shorter), candidate(6400, 0.87, longer)]
    found = finding("capacity", bundle=of_candidates(student(pair, 1)))
    assert found.severity == severity
    assert ("assistant" in found.advice) == (severity == "problem")
    assert ("Train longer first" in found.advice) == (severity == "hint")
    assert found.figures[0].value == longer


def test_capacity_of_a_single_candidate_is_that_of_the_final_network() -> None:
    alone = student([candidate(1600, 0.9, 0.9).model_copy(update={"score": None, "fitted": None})])
    bundle = changed(alone, "fit.unlabelled", Followed(rows=3000, agreeing=2000, confidence=0.9))
    assert bundle.selection is not None
    found = finding("capacity", bundle=bundle)
    assert found.figures[0].value == pytest.approx(2990 / 4000)
    assert found.severity == "hint"
    assert finding("length", bundle=bundle).severity == "not_measured"


@pytest.mark.parametrize(
    ("scores", "chosen", "severity"),
    [
        ((0.90, 0.94), 1, "problem"),
        ((0.900, 0.905), 1, "hint"),
        ((0.90, 0.90), 0, "clear"),
        ((0.94, 0.90), 0, "clear"),
    ],
)
def test_a_longest_training_that_still_gains_asks_for_longer_ones(
    scores: tuple[float, float], chosen: int, severity: str
) -> None:
    pair = [candidate(1600, scores[0], 0.97), candidate(6400, scores[1], 0.97)]
    found = finding("length", bundle=student(pair, chosen))
    assert found.severity == severity
    assert ("longer candidates than 6,400" in found.advice) == (severity != "clear")


def test_few_held_out_rows_do_not_settle_the_length() -> None:
    pair = [candidate(1600, 0.9, 0.97, rows=150), candidate(6400, 0.9, 0.97, rows=150)]
    assert finding("length", bundle=student(pair, rows=150, disputed=0.02)).severity == "unsettled"


def test_lengths_are_compared_row_by_row_where_one_of_them_was_chosen() -> None:
    pair = [candidate(1600, 0.90, 0.97), candidate(6400, 0.90, 0.97)]
    close, apart = (
        finding("length", bundle=student(pair, disputed=disputed)).figures[0]
        for disputed in (0.001, 0.05)
    )
    assert close.upper < apart.upper
    three = [candidate(400, 0.90, 0.97), *pair]
    middle = [finding("length", bundle=student(three, disputed=d)).figures[0] for d in (0, 0.05)]
    assert middle[0] == middle[1]
    assert middle[0].upper > close.upper


def test_lengths_are_compared_within_the_method_that_was_chosen() -> None:
    other = candidate(25_600, 0.99, 0.99).model_copy(update={"temperature": 1.0})
    pair = [candidate(1600, 0.90, 0.97), candidate(6400, 0.94, 0.97)]
    found = finding("length", bundle=student([*pair, other], 1))
    assert found.figures[0].value == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("scores", "fitted", "severity"),
    [
        ((0.90, 0.90), 0.90, "hint"),
        ((0.90, 0.90), 0.99, "clear"),
        ((0.90, 0.94), 0.90, "clear"),
        ((0.995, 0.995), 0.995, "clear"),
    ],
)
def test_a_student_is_saturated_where_neither_steps_nor_rows_bring_anything(
    scores: tuple[float, float], fitted: float, severity: str
) -> None:
    pair = [candidate(1600, scores[0], fitted), candidate(6400, scores[1], fitted)]
    found = finding("saturation", bundle=of_candidates(student(pair)))
    assert found.severity == severity
    assert ("saturated at" in found.statement) == (severity == "hint")


@pytest.mark.parametrize(
    ("held_out", "fitted", "rows", "severity"),
    [
        (0.90, 0.99, HELD_OUT, "problem"),
        (0.97, 0.975, HELD_OUT, "clear"),
        (0.96, 0.98, HELD_OUT, "unsettled"),
        (0.92, 0.97, 100, "unsettled"),
    ],
)
def test_a_pool_is_too_small_where_rows_are_known_by_heart(
    held_out: float, fitted: float, rows: int, severity: str
) -> None:
    pair = [candidate(1600, held_out, fitted, rows), candidate(6400, held_out, fitted, rows)]
    found = finding("pool_size", bundle=of_candidates(student(pair, rows=rows)))
    assert found.severity == severity
    assert ("Add unlabelled rows" in found.advice) == (severity == "problem")
    assert "10,000 training rows a class" in found.statement


@pytest.mark.parametrize(
    ("agreeing", "tested", "severity"), [(4070, 0.93, "problem"), (4000, 0.97, "clear")]
)
def test_where_the_teacher_has_not_learned_the_student_of_the_run_is_looked_at_itself(
    agreeing: int, tested: float, severity: str
) -> None:
    followed = Followed(rows=4096, agreeing=agreeing, confidence=0.95)
    found = finding("pool_size", bundle=changed(WELL, "fit.unlabelled", followed), tested=tested)
    assert found.severity == severity
    assert "test rows" in found.statement
    assert found.figures[0].value == pytest.approx(agreeing / 4096 - tested)


def stage(digest: str) -> Stage:
    return Stage(
        digest=digest,
        model=WELL.model,
        parameters=99,
        steps=400,
        objectives=[Kd(kind="kd")],
        agreement=0.95,
        standard_error=0.01,
        accuracy=None,
    )


def test_a_student_of_an_assistant_is_not_held_against_what_the_teacher_says_of_test_rows() -> None:
    bundle: ModelBundle = changed(WELL, "assistants", [stage("5" * 64)])
    size = finding("pool_size", bundle=bundle, tested=0.7)
    assert size.severity == "clear"
    assert "its assistant" in size.statement
    assert "held-out rows" in size.statement
    assert "its assistant" in finding("capacity", bundle=bundle).statement
    assert finding("pool_confidence", bundle=bundle).severity == "not_measured"


@pytest.mark.parametrize("topic", ["capacity", "length", "saturation"])
def test_a_student_of_an_assistant_is_told_whom_it_follows(topic: Topic) -> None:
    pair = [candidate(1600, 0.80, 0.88), candidate(6400, 0.88, 0.88)]
    if topic == "saturation":
        pair[0] = candidate(1600, 0.88, 0.88)
    bundle = of_candidates(student(pair, 1, assistants=[stage("5" * 64)]))
    found = finding(topic, bundle=bundle)
    assert found.severity in ("problem", "hint")
    assert "its assistant" in found.statement
    assert "the teacher" not in found.statement


def test_a_teacher_that_was_an_assistant_in_an_earlier_run_is_the_teacher() -> None:
    teacher = measured().evaluation.arms["teacher"].bundle_digest
    bundle: ModelBundle = changed(WELL, "assistants", [stage("5" * 64), stage(teacher)])
    assert finding("pool_size", bundle=bundle) == finding("pool_size")
    assert finding("pool_confidence", bundle=bundle).severity == "clear"


def test_capacity_is_not_missed_where_another_candidate_follows() -> None:
    pair = [candidate(1600, 0.87, 0.99), candidate(6400, 0.87, 0.88)]
    assert finding("capacity", bundle=of_candidates(student(pair, 1))).severity == "unsettled"


@pytest.mark.parametrize(
    ("status", "severity"),
    [("passed", "clear"), ("warned", "problem"), (None, "not_measured")],
)
def test_a_pool_that_does_not_cover_the_test_rows_is_off_the_distribution(
    status: str | None, severity: str
) -> None:
    found = finding("pool_coverage", coverage=status)
    assert found.severity == severity
    if status == "warned":
        assert found.statement.startswith("The transfer pool does not cover 12.0%")


@pytest.mark.parametrize(
    ("confidence", "rows", "severity", "says"),
    [
        (0.942, 4096, "clear", "as sure of both"),
        (0.85, 4096, "hint", "less sure of the pool"),
        (0.995, 4096, "hint", "surer of the pool"),
        (0.90, 60, "unsettled", "Too few rows"),
    ],
)
def test_a_teacher_that_is_not_as_sure_of_the_pool_hints_at_another_source(
    confidence: float, rows: int, severity: str, says: str
) -> None:
    followed = Followed(rows=rows, agreeing=rows, confidence=confidence)
    found = finding("pool_confidence", bundle=changed(WELL, "fit.unlabelled", followed))
    assert (found.severity, says in found.statement) == (severity, True)


def test_without_unlabelled_rows_there_is_no_confidence_to_compare() -> None:
    bundle: ModelBundle = changed(WELL, "fit.unlabelled", None)
    assert finding("pool_confidence", bundle=bundle).severity == "not_measured"
    assert sum(part.rows for part in CALIBRATION) == 2000


def test_problems_come_before_hints() -> None:
    bins = [CalibrationBin(rows=2000, confidence=0.99, accuracy=0.85)]
    pair = [candidate(1600, 0.90, 0.99), candidate(6400, 0.90, 0.99)]
    found = diagnose(measured(calibration=bins, bundle=of_candidates(student(pair))))
    assert [one.severity for one in found.notable][:2] == ["problem", "hint"]
    assert [one.topic for one in found.notable][:2] == ["pool_size", "teacher_calibration"]
