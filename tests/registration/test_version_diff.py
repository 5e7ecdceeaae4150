"""What differs between two registered versions, and what cannot be compared."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline_run_files import CHAMPION_ACCURACY, RECIPE, REGISTRY

from components.registration.comparing import VersionDiff, compare_versions
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec
from components.shared.results import PairedCounts
from pipelines.cli.console import console
from pipelines.cli.diffing import show_diff

SPEC = RegistrySpec.model_validate(REGISTRY)
TRAINING = {"steps": [5, 20], "learning_rate": 0.1}


@pytest.fixture
def diff(tracking) -> Callable[..., VersionDiff]:
    def compare(first: str = "1", second: str = "2") -> VersionDiff:
        return compare_versions(SPEC, first, second, tracking.uri)

    return compare


def promote_two(tracking, **second: object) -> None:
    tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, **second)


def figure(diff: VersionDiff, name: str):
    return next(found for found in diff.figures if found.name == name)


def test_versions_measured_together_are_compared_on_the_rows_of_that_run(tracking, diff):
    first = tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, shift=1.0, beside=first)

    found = diff()

    assert not found.same_data
    assert (found.measured_together, found.comparable) == (True, True)
    assert "the run that made version 2, when version 1 was the champion" in found.notes[0]
    accuracy = figure(found, "accuracy")
    assert (accuracy.first, accuracy.second) == (CHAMPION_ACCURACY, 0.93)
    assert accuracy.difference == pytest.approx(0.05)
    assert found.paired == PairedCounts(both=1, only_student=2, only_other=0, neither=0)


def test_comparison_turned_round_is_the_same_with_other_signs(tracking, diff):
    first = tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, beside=first)

    forth, back = diff("1", "2"), diff("2", "1")

    assert back.measured_together
    assert figure(back, "accuracy").difference == -figure(forth, "accuracy").difference
    assert back.paired == PairedCounts(both=1, only_student=0, only_other=2, neither=0)
    assert back.notes == forth.notes


def test_champion_of_another_file_is_not_taken_for_the_version(tracking, diff):
    tracking.promoted("run-1")
    other = tracking.write("other", seed=7)
    tracking.promoted("run-2", champion="1", seed=1, beside=other)

    assert not diff().measured_together


def test_versions_on_the_same_data_are_compared_with_a_word_on_latency(tracking, diff):
    promote_two(tracking)

    found = diff()

    assert (found.same_data, found.measured_together, found.comparable) == (True, False, True)
    assert "same 3 test rows, but not at the same time" in found.notes[0]
    assert figure(found, "accuracy").difference == 0
    assert found.paired is None


def test_figures_on_different_rows_are_not_subtracted(tracking, diff):
    promote_two(tracking, shift=1.0)

    found = diff()

    assert (found.same_data, found.comparable) == (False, False)
    assert "their figures cannot be compared" in found.notes[0]
    assert figure(found, "accuracy").first == 0.93
    assert figure(found, "accuracy").difference is None
    assert figure(found, "size_bytes").difference == 0


def test_recipe_teacher_and_rows_are_compared(tracking, diff):
    student = {**RECIPE["student"], "training": TRAINING}
    promote_two(tracking, recipe={**RECIPE, "student": student})

    found = diff()

    assert [(change.path, change.first, change.second) for change in found.recipe] == [
        ("student.training.steps", "[5, 10]", "[5, 20]"),
        ("student.training.learning_rate", "0.005", "0.1"),
    ]
    assert found.same_teacher is False
    assert found.first.rows == {"labelled": 1, "unlabelled": 2, "test": 3}
    assert [gate.gate for gate in found.gates] == ["gates.accuracy.min"]
    assert found.gates[0].second_passed


@pytest.mark.parametrize("alias", ["champion", "@champion"])
def test_version_can_be_named_by_its_alias(tracking, diff, alias):
    promote_two(tracking)

    found = diff("former-champion", alias)

    assert (found.first.version, found.second.version) == ("1", "2")
    assert found.second.aliases == ["champion"]
    assert found.second.measured_against == "1"


def test_version_differs_in_nothing_from_itself(tracking, diff):
    tracking.promoted("run-1")

    found = diff("1", "1")

    assert found.recipe == []
    assert {entry.difference for entry in found.figures} == {0}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("9", "has no version 9; it has 1, 2"),
        ("latest", "has no alias 'latest'; it has champion (2), former-champion (1)"),
    ],
)
def test_unknown_version_or_alias_is_a_user_error(tracking, diff, first, expected):
    promote_two(tracking)

    with pytest.raises(UserError) as caught:
        diff(first, "2")

    assert expected in str(caught.value)


def test_unknown_model_is_a_user_error(tracking, diff):
    tracking.promoted("run-1")

    with pytest.raises(UserError, match="no registered model 'other'"):
        compare_versions(RegistrySpec(model="other"), "1", "2", tracking.uri)


@pytest.mark.parametrize("file", ["evaluation.json", "decision.json", "recipe.yaml"])
def test_artifact_that_is_gone_is_a_user_error(tracking, diff, file):
    promote_two(tracking)
    artifact(tracking, "1", file).unlink()

    with pytest.raises(UserError, match=f"version 1 of 'tiny-student'.* has no {file}"):
        diff()


def test_run_that_lost_all_its_artifacts_is_a_user_error(tracking, diff):
    promote_two(tracking)
    shutil.rmtree(artifact(tracking, "2", "decision.json").parent)

    with pytest.raises(UserError, match="version 2 of 'tiny-student' cannot be compared"):
        diff()


def test_version_without_a_run_is_a_user_error(tracking, diff):
    tracking.promoted("run-1")
    client = tracking.client
    source = (tracking.folder / "elsewhere").as_uri()
    client.create_model_version("tiny-student", source)

    with pytest.raises(UserError, match="registered without an MLflow run"):
        diff()


def test_evaluation_of_another_format_is_a_user_error(tracking, diff):
    promote_two(tracking)
    artifact(tracking, "2", "evaluation.json").write_text('{"format_version": 1}')

    with pytest.raises(UserError, match="evaluation.json: format_version is 1, expected 2"):
        diff()


def test_decision_that_was_edited_is_noted(tracking, diff):
    promote_two(tracking)
    path = artifact(tracking, "1", "decision.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"summary": "better"}))

    assert diff().notes[1] == (
        "decision.json of version 1 of 'tiny-student' is not the one that it was registered with."
    )


def artifact(tracking, version: str, name: str) -> Path:
    client = tracking.client
    run = client.get_run(client.get_model_version("tiny-student", version).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://")) / name


@pytest.fixture
def narrow(tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    monkeypatch.setattr(console, "_width", 80)


def test_command_prints_tables_that_fit_80_columns(tracking, narrow, capsys):
    first = tracking.promoted("run-1")
    student = {**RECIPE["student"], "training": TRAINING}
    recipe = {**RECIPE, "student": student}
    tracking.promoted("run-2", champion="1", seed=1, beside=first, recipe=recipe)
    capsys.readouterr()

    assert show_diff(SPEC, "1", "champion", as_json=False) == 0

    printed = capsys.readouterr().err.replace("\u00a0", " ")
    lines = printed.splitlines()
    assert max(len(line) for line in lines[1:]) <= 80
    accuracy = next(line for line in lines if line.startswith("accuracy "))
    assert "88.0 % (86.0 to 90.0)" in accuracy
    assert accuracy.rstrip().endswith("+5.0 points")
    assert "student.training.learning_rate  0.005      0.1" in printed
    assert "version 2 alone is right on 2 rows, version 1 alone on 0" in printed


def test_command_says_that_figures_on_different_rows_cannot_be_compared(tracking, narrow, capsys):
    promote_two(tracking, shift=1.0)
    capsys.readouterr()

    show_diff(SPEC, "1", "2", as_json=False)

    printed = capsys.readouterr().err
    assert "cannot be compared" in " ".join(printed.split())
    accuracy = next(line for line in printed.splitlines() if line.startswith("accuracy "))
    assert accuracy.rstrip().endswith("not comparable")


def test_command_prints_json_on_standard_output(tracking, narrow, capsys):
    promote_two(tracking)
    capsys.readouterr()

    show_diff(SPEC, "1", "2", as_json=True)

    assert VersionDiff.model_validate_json(capsys.readouterr().out).second.version == "2"
