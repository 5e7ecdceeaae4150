"""``kubedistill promote``, ``reject``, ``rollback``, ``history`` as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient
from pipeline_run_files import RECIPE, REGISTRY

from tests.command_line import Done

MODEL = REGISTRY["model"]
APPROVAL = RECIPE | {"registry": REGISTRY | {"promotion": "approval"}}
Typed = Callable[..., Done]


@pytest.fixture
def typed(tracking, command) -> Typed:
    """Types a command about the registry in which version 1 is champion and version 2 waits."""
    tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, recipe=APPROVAL)
    return lambda *arguments: command(tracking.folder, *arguments, "--tracking-uri", tracking.uri)


def champion(typed: Typed) -> str:
    found: str = json.loads(typed("status", MODEL, "--json").stdout)["champion"]["version"]
    return found


def test_promote_takes_the_challenger_and_rollback_undoes_it(typed):
    done = typed("promote", MODEL, "--reason", "checked the slices")
    assert (done.status, done.stdout) == (0, "")
    assert done.stderr == "tiny-student version 2 is now @champion, before it was version 1\n"
    assert champion(typed) == "2"

    done = typed("rollback", MODEL, "--reason", "errors in production")
    assert done.status == 0
    assert done.stderr == "tiny-student version 1 is @champion again; version 2 is rejected\n"
    assert champion(typed) == "1"


def test_history_tells_every_move_with_who_and_why(typed, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_ACTOR", "ada")
    typed("promote", MODEL, "--reason", "checked the slices")

    history = json.loads(typed("history", MODEL, "--json").stdout)
    assert history["fault"] is None
    assert [move["action"] for move in history["moves"]] == [
        "register",
        "promote",
        "register",
        "challenge",
        "promote",
    ]
    last = history["moves"][-1]
    assert (last["by"], last["reason"], last["run_id"]) == ("ada", "checked the slices", "run-2")
    assert (last["champion_before"], last["champion_after"]) == ("1", "2")

    shown = typed("history", MODEL).stderr
    assert "1 → 2" in shown
    assert "intact: 5 moves" in shown


def test_reject_needs_a_reason_and_takes_the_challenger(typed):
    refused = typed("reject", MODEL)
    assert refused.status == 2
    assert "reject needs --reason" in refused.stderr

    done = typed("reject", MODEL, "--reason", "looks odd")
    assert (done.status, done.stderr) == (0, "tiny-student version 2 is rejected\n")
    assert typed("promote", MODEL).status == 2
    assert typed("promote", MODEL, "2", "--force", "--reason", "it was fine").status == 0


def test_status_shows_who_waits_and_what_to_type(typed):
    shown = typed("status", MODEL).stderr

    assert "@challenger is version 2: it waits for approval" in shown
    assert f"kubedistill promote {MODEL}" in shown


def test_hint_names_an_alias_that_is_not_the_default(tracking, command):
    registry = REGISTRY | {"alias": "canary", "promotion": "approval"}
    run = tracking.write("run-1", recipe=RECIPE | {"registry": registry})

    summary = tracking.register(run).summary

    arguments = ("status", MODEL, "--alias", "canary", "--tracking-uri", tracking.uri)
    shown = command(tracking.folder, *arguments).stderr
    for said in (summary, shown):
        assert f"kubedistill promote {MODEL} --alias canary" in said
    assert f"kubedistill reject {MODEL} --reason TEXT --alias canary" in shown


@pytest.mark.parametrize("uri", ["http://[bad", "sqlite:////", "foo://x"])
def test_tracking_uri_that_is_none_is_wrong_input(command, tmp_path, uri):
    done = command(tmp_path, "status", MODEL, "--tracking-uri", uri)

    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert "tracking URI" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["promote", "unknown"], "no registered model 'unknown'"),
        (["promote", MODEL, "9"], "has no version 9; it has 1, 2"),
        (["promote", MODEL, "two"], "has no version two; it has 1, 2"),
        (["promote", MODEL, "--alias", "latest"], "reserved by MLflow"),
        (["promote", MODEL, "--force"], "--force needs --reason"),
        (["rollback", MODEL], "no former champion"),
        (["rollback", MODEL, "--to", "2"], "it is the challenger"),
        (["rollback", MODEL, "--to", "7"], "has no version 7"),
        (["history", "unknown"], "no registered model 'unknown'"),
        (["history", MODEL, "--accept"], "--accept needs --reason"),
        (["history", MODEL, "--accept", "--reason", "x"], "is intact"),
    ],
)
def test_wrong_input_is_one_clear_line_and_changes_nothing(typed, tracking, arguments, message):
    before = tracking.registry()

    done = typed(*arguments)

    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert tracking.registry() == before


def test_tampered_history_is_shown_refused_and_can_be_accepted(typed, tracking):
    client = tracking.client
    client.delete_registered_model_tag(MODEL, "kubedistill.move.champion.000002")

    shown = typed("history", MODEL)
    assert shown.status == 1
    assert "the history was tampered with: move 2 is missing" in shown.stderr
    refused = typed("promote", MODEL)
    assert refused.status == 2
    assert "'tiny-student': the history was tampered with: move 2 is missing" in refused.stderr
    assert "kubedistill history tiny-student shows what is there" in refused.stderr

    assert typed("history", MODEL, "--accept", "--reason", "a script").status == 0
    assert typed("history", MODEL).status == 0


def test_history_marks_what_never_took_effect(typed, tracking, monkeypatch):
    class Died(BaseException):
        """Like kill -9."""

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", die)
        with pytest.raises(Died):
            typed("promote", MODEL, "2")
    tracking.client.delete_registered_model_alias(MODEL, "champion")
    typed("promote", MODEL)  # which first looks after what was left

    assert "promote (no" in typed("history", MODEL).stderr  # the rest may be on the next line
    moves = json.loads(typed("history", MODEL, "--json").stdout)["moves"]
    assert [m["action"] for m in moves if not m["took_effect"]] == ["promote"]


def test_dry_runs_change_nothing_and_say_so(typed, tracking):
    before = tracking.registry()

    for arguments in (["promote"], ["promote", "--json"], ["reject", "--reason", "x"]):
        done = typed(arguments[0], MODEL, *arguments[1:], "--dry-run")
        assert done.status == 0
        assert "dry run: would" in done.stderr

    assert tracking.registry() == before


def test_dry_run_says_which_version_would_be_moved(typed):
    def dry_run(*arguments: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(typed(*arguments, "--dry-run", "--json").stdout)
        return found

    shown = dry_run("promote", MODEL)
    assert shown == {
        "summary": "dry run: would point @champion of tiny-student at version 2",
        "version": "2",
        "move": None,
    }
    assert dry_run("reject", MODEL, "--reason", "x")["version"] == "2"
    assert dry_run("promote", MODEL, "1")["version"] == "1"  # it is champion already

    moved = json.loads(typed("promote", MODEL, "--json").stdout)
    assert (moved["version"], moved["move"]["version"]) == ("2", "2")
    shown = dry_run("rollback", MODEL)
    assert (shown["version"], shown["move"]) == ("1", None)


def test_recipe_stands_for_its_model(typed, tracking, tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))

    assert typed("promote", tmp_path / "recipe.yaml").status == 0
    assert champion(typed) == "2"
