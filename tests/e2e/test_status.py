"""``kubedistill status`` of a registry in which a run has promoted a student."""

import json
from collections.abc import Callable

import pytest

from tests.command_line import DIGITS, Done, Ended, Workspace

Show = Callable[..., Done]


@pytest.fixture
def show(promoted: tuple[Workspace, Ended], command: Callable[..., Done]) -> Show:
    """Runs ``kubedistill status`` where a student has been promoted."""
    return lambda *arguments: command(promoted[0].folder, "status", *arguments)


def test_status_shows_the_champion_and_its_figures(show: Show) -> None:
    champion = json.loads(show("digits-student", "--json").stdout)["champion"]
    done = show("digits-student")
    assert (done.status, done.stdout) == (0, "")
    assert f"@champion is version {champion['version']}" in done.stderr
    assert f"by run {champion['run_id']}" in done.stderr
    assert f"data {champion['dataset_digest'][:12]}" in done.stderr
    assert "retention" in done.stderr
    assert ".kubedistill/mlflow.db" in done.stderr


def test_status_knows_how_the_first_champion_got_there(
    show: Show, promoted: tuple[Workspace, Ended]
) -> None:
    _, first = promoted
    versions = json.loads(show("digits-student", "--json").stdout)["versions"]
    version = next(version for version in versions if version["version"] == "1")
    assert version["verdict"] == "promote"
    assert version["promoted_at"] is not None
    assert version["student_digest"] == first.summary["digests"]["deployed"]
    assert version["mlflow_run_id"] == first.summary["mlflow_run_id"]


def test_status_takes_a_recipe_for_its_model(show: Show) -> None:
    by_recipe = show(DIGITS, "--json")
    assert by_recipe.status == 0
    assert by_recipe.stdout == show("digits-student", "--json").stdout


def test_status_of_an_unknown_model_names_those_that_exist(show: Show) -> None:
    done = show("digit-student")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no registered model 'digit-student' at sqlite:///")
    assert "digits-student); a run registers it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_status_of_an_alias_that_nothing_has(show: Show) -> None:
    done = show("digits-student", "--alias", "canary")
    assert done.status == 0
    assert "no version has the alias canary" in done.stderr
