import pytest
import report_example as example

from components.evaluation.reporting.changes import since_champion

TEACHER = "cc" * 32


def test_data_and_teacher_are_compared_by_digest() -> None:
    champion = example.champion_record(teacher_digest=TEACHER)
    changes = since_champion(champion, example.DATASET, TEACHER, example.RECIPE)
    assert [(one.name, one.word) for one in changes.origins] == [
        ("Data set", "changed"),
        ("Teacher", "the same"),
    ]
    assert "champion version 3, promoted on 3 September 2026" in changes.sentence
    assert {change.path for change in changes.recipe} == {
        "seed",
        "distillation.temperature",
        "compression.candidates",
    }
    assert "3 values of the recipe changed" in changes.sentence


def test_digest_that_was_never_recorded_is_not_called_changed() -> None:
    champion = example.champion_record(dataset_digest=None)
    changes = since_champion(champion, example.DATASET, TEACHER, example.RECIPE)
    assert changes.origins[0].word == "not known"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": "first_model", "version": None}, "first model under its name"),
        ({"state": "missing", "version": None}, "none of them is the champion"),
        ({"recipe": None}, "Its recipe is not known"),
        ({"recipe": example.RECIPE}, "The recipe is the same."),
    ],
)
def test_what_cannot_be_compared_is_said(fields: dict[str, object], sentence: str) -> None:
    champion = example.champion_record(**fields)
    changes = since_champion(champion, example.DATASET, TEACHER, example.RECIPE)
    assert sentence in changes.sentence
    assert changes.recipe == []
    assert bool(changes.origins) is (champion.state == "present")
