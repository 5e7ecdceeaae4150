import pytest
import report_example as example

from components.evaluation.reporting import statements
from components.shared.formatting import percent
from components.shared.results import PairedCounts


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


def test_the_share_of_the_gap_has_bounds_of_the_students_gain() -> None:
    evaluation = example.make_evaluation({**example.ACCURACY, "hard_label": 0.905})
    lead = evaluation.teacher.accuracy - evaluation.arms["hard_label"].accuracy
    gain = statements.compare(evaluation.paired["hard_label"], evaluation.confidence)
    sentence = statements.distillation(evaluation).sentences[0]
    assert f"it is {percent(gain.lower / lead, 0)} to {percent(gain.upper / lead, 0)}." in sentence
