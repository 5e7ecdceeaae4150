"""What follows a move: receivers are told, and KServe serves the champion, sooner or later.

Applying the manifest is tested against a real API server, in tests/cluster/test_kserve.py; here it
is recorded what would be applied, and in which order.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hooks_receiver import Receiver, free_port
from pipeline_run_files import RECIPE, REGISTRY

from components.registration import announcing
from components.registration.hooks import kserve_apply
from components.registration.hooks.kserve import ApplyFailed
from components.registration.promotion.registered import registered
from components.shared import cluster
from components.shared.events import parse_event
from components.shared.recipe import RegistrySpec

MODEL = REGISTRY["model"]
SPEC = RegistrySpec(model=MODEL)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("KUBEDISTILL_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with Receiver(free_port()).listening() as listening:
        yield listening


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Versions whose manifest was applied; KServe is taken to read local folders."""
    versions: list[str] = []

    def apply(manifest: dict[str, Any]) -> bool:
        versions.append(manifest["metadata"]["labels"]["kubedistill.io/version"])
        return True

    monkeypatch.setattr(kserve_apply, "apply", apply)
    monkeypatch.setattr("components.registration.hooks.kserve.storage_uri", lambda _, uri: uri)
    monkeypatch.setattr(announcing, "storage_uri", lambda _, uri: uri)
    return versions


def hooked(receiver: Receiver, **fields: object) -> dict[str, object]:
    """A recipe with a webhook."""
    webhook = {"url": receiver.url, "attempts": 1}
    return RECIPE | {"registry": REGISTRY | {"webhooks": [webhook]} | fields}


def served(**fields: object) -> dict[str, object]:
    """A recipe whose champion KServe serves."""
    kserve = {"namespace": "serving", "apply": True}
    return RECIPE | {"registry": REGISTRY | {"kserve": kserve} | fields}


def write_recipe(folder: Path, recipe: dict[str, object]) -> Path:
    """The recipe as a file, to be named in place of the model."""
    path = folder / "named.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def remove_recipes(tracking) -> None:
    """What a clean-up of old artifacts does."""
    recipes = list(tracking.folder.glob("artifacts/**/recipe.yaml"))
    assert recipes
    for recipe in recipes:
        recipe.unlink()


def told(receiver: Receiver) -> list[tuple[str, str | None]]:
    """Event and version of what was received."""
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [(body["type"].split(".")[3], body["data"]["version"]) for body in bodies]


def test_promotions_rejections_and_challengers_are_told(tracking, receiver):
    tracking.promoted("run-1", recipe=hooked(receiver))
    tracking.promoted("run-2", champion="1", verdict="reject", seed=1, recipe=hooked(receiver))
    tracking.promoted("run-3", champion="1", seed=2, recipe=hooked(receiver, promotion="approval"))

    assert told(receiver) == [("promoted", "1"), ("rejected", None), ("challenger", "2")]
    figures = json.loads(receiver.requests[0].body)["data"]["figures"]
    assert figures["accuracy"] == pytest.approx(0.93)


def test_event_that_could_not_be_sent_is_sent_by_the_next_run_whatever_it_comes_to(
    tracking, receiver
):
    receiver.answers = [500]
    tracking.promoted("run-1", recipe=hooked(receiver))
    tracking.promoted("run-2", champion="1", verdict="reject", seed=1, recipe=hooked(receiver))

    events = told(receiver)
    assert events.count(("promoted", "1")) == 2
    assert ("rejected", None) in events
    first, again = (r for r in receiver.requests if b"promoted" in r.body)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]


def test_first_event_survives_a_crash_before_it_was_sent(tracking, receiver, monkeypatch):
    run = tracking.write("run-1", recipe=hooked(receiver))
    with monkeypatch.context() as patch:
        patch.setattr(announcing.Announcer, "follow_up", _die)
        with pytest.raises(Died):
            tracking.register(run)
    assert told(receiver) == []

    tracking.register(run)

    assert told(receiver) == [("promoted", "1")]


def test_receiver_that_a_rejected_run_names_first_is_not_told_of_what_was_before(
    tracking, receiver
):
    tracking.promoted("run-1")

    tracking.promoted("run-2", champion="1", verdict="reject", seed=1, recipe=hooked(receiver))

    assert told(receiver) == [("rejected", None)]


def test_cluster_that_takes_no_events_fails_no_promotion(tracking, tmp_path, monkeypatch, capsys):
    account = tmp_path / "account"
    account.mkdir()
    for name in ("token", "namespace", "ca.crt"):
        (account / name).write_text("kubedistill")
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(free_port()))

    promoted = tracking.register(tracking.write("run-1"))
    rejected = tracking.register(tracking.write("run-2", champion="1", verdict="reject", seed=1))

    assert (promoted.outcome, rejected.outcome) == ("promoted", "rejected")
    events = map(parse_event, capsys.readouterr().out.splitlines())
    failed = [event for event in events if event and event["event"] == "told"]
    assert [event["delivered"] for event in failed] == [False] * 3
    assert {event["url"] for event in failed} == {"kubernetes:kubedistill/events"}


def test_dry_run_and_rejection_leave_the_registry_as_it_was(tracking, receiver):
    tracking.promoted("run-1")
    before = tracking.registry()

    tracking.promoted("run-2", champion="1", recipe=hooked(receiver, promotion="dry_run"), seed=1)
    assert told(receiver) == []
    tracking.promoted("run-3", champion="1", verdict="reject", recipe=RECIPE, seed=2)

    assert tracking.registry() == before


def test_missing_secret_is_said_before_anything_is_registered(tracking, receiver, monkeypatch):
    monkeypatch.delenv("KUBEDISTILL_WEBHOOK_SECRET")

    with pytest.raises(SystemExit):
        tracking.promoted("run-1", recipe=hooked(receiver))

    assert tracking.registry() == {"models": [], "versions": []}


def test_kserve_serves_each_new_champion_and_its_run_has_the_manifest(tracking, applied):
    tracking.promoted("run-1", recipe=served())
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())

    assert applied == ["1", "2"]
    client = tracking.client
    run_id = client.get_model_version(MODEL, "1").run_id
    assert announcing.SERVICE_FILE in {file.path for file in client.list_artifacts(run_id)}


def test_rejected_run_brings_kserve_up_to_date_after_a_crash(tracking, applied, monkeypatch):
    run = tracking.write("run-1", recipe=served())
    with monkeypatch.context() as patch:
        patch.setattr(announcing.Announcer, "follow_up", _die)
        with pytest.raises(Died):
            tracking.register(run)

    tracking.promoted("run-2", champion="1", verdict="reject", seed=1, recipe=served())

    assert applied == ["1"]


def test_champion_that_moves_while_it_is_applied_is_applied_too(tracking, applied, monkeypatch):
    tracking.promoted("run-1", recipe=served())
    slow = kserve_apply.apply

    def overtaken(manifest):
        monkeypatch.setattr(kserve_apply, "apply", slow)
        tracking.promoted("run-3", champion="2", seed=3, recipe=served())
        return slow(manifest)

    monkeypatch.setattr(kserve_apply, "apply", overtaken)
    tracking.promoted("run-2", champion="1", seed=2, recipe=served())

    assert applied[-1] == "3"


def test_service_that_is_not_taken_fails_the_step_whose_retry_applies_it(
    tracking, applied, monkeypatch
):
    run = tracking.write("run-1", recipe=served())
    with monkeypatch.context() as patch:
        patch.setattr(kserve_apply, "apply", _refuse)
        with pytest.raises(ApplyFailed):
            tracking.register(run)

    assert tracking.register(run).outcome == "promoted"
    assert applied == ["1"]


def test_command_follows_the_recipe_of_the_latest_version(tracking, command, applied):
    """Version 1 knew nothing of KServe: a rollback to it is served all the same."""
    tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())

    done = command(tracking.folder, "rollback", MODEL, "--tracking-uri", tracking.uri, "--json")

    assert done.status == 0
    assert json.loads(done.stdout)["move"]["champion_after"] == "1"
    assert applied == ["2", "1"]


def test_command_whose_service_was_not_taken_can_be_repeated(
    tracking, command, applied, monkeypatch
):
    tracking.promoted("run-1", recipe=served())
    tracking.promoted("run-2", champion="1", seed=1, recipe=served(promotion="approval"))
    with monkeypatch.context() as patch:
        patch.setattr(kserve_apply, "apply", _refuse)
        failed = command(tracking.folder, "promote", MODEL, "--tracking-uri", tracking.uri)
    assert failed.status == 1
    assert f"kubedistill promote {MODEL} 2" in failed.stderr

    again = command(tracking.folder, "promote", MODEL, "2", "--tracking-uri", tracking.uri)

    assert (again.status, applied[-1]) == (0, "2")


def test_edited_recipe_is_not_followed_but_the_one_before(tracking, command, applied, tmp_path):
    tracking.promoted("run-1", recipe=served())
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())
    client = tracking.client
    (tmp_path / "recipe.yaml").write_text("registry: {model: tiny-student}")
    run_id = client.get_model_version(MODEL, "2").run_id
    client.log_artifact(run_id, str(tmp_path / "recipe.yaml"))

    done = command(tracking.folder, "rollback", MODEL, "--tracking-uri", tracking.uri)

    assert done.status == 0
    assert "the recipe of version 2 was edited since it was registered: followed is" in done.stderr
    assert applied == ["1", "2", "1"]


def test_rollback_from_a_version_that_was_deleted_is_served(tracking, command, applied):
    """KServe would go on with the files of the deleted version. The new champion's own recipe knew
    nothing of KServe yet, and is not the one that counts."""
    tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())
    tracking.promoted("run-3", champion="2", seed=2, recipe=served())
    tracking.client.delete_model_version(MODEL, "3")
    arguments = ("rollback", MODEL, "--to", "1", "--tracking-uri", tracking.uri)

    done = command(tracking.folder, *arguments)

    assert done.status == 0
    assert "the recipe of version 3 is gone: followed is that of version 2" in done.stderr
    assert applied == ["2", "3", "1"]


def test_move_that_nobody_can_be_told_of_is_a_failure_until_the_recipe_is_named(
    tracking, command, applied, tmp_path
):
    tracking.promoted("run-1", recipe=served())
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())
    remove_recipes(tracking)
    arguments = ("--tracking-uri", tracking.uri)

    untold = command(tracking.folder, "rollback", MODEL, *arguments)

    assert untold.status == 1
    assert "others do not know: the recipe of version 2 is gone, and no" in untold.stderr
    assert untold.stderr.endswith("kubedistill promote RECIPE 1\n")
    assert applied == ["1", "2"]
    recipe = write_recipe(tmp_path, served())

    told = command(tracking.folder, "promote", recipe, "1", *arguments)

    assert (told.status, applied) == (0, ["1", "2", "1"])


def test_versions_of_another_tool_have_no_recipe_that_could_be_gone(tracking, command):
    tracking.promoted("run-1")
    client = tracking.client
    client.create_registered_model("theirs")
    client.create_model_version("theirs", client.get_model_version(MODEL, "1").source)
    arguments = ("theirs", "1", "--force", "--reason", "ours now", "--tracking-uri", tracking.uri)

    done = command(tracking.folder, "promote", *arguments)

    assert (done.status, done.stderr) == (0, "theirs version 1 is now @champion\n")


def test_event_survives_a_crash_of_the_command_that_names_its_receiver_first(
    tracking, receiver, command, monkeypatch, tmp_path
):
    tracking.promoted("run-1")
    waiting = RECIPE | {"registry": REGISTRY | {"promotion": "approval"}}
    tracking.promoted("run-2", champion="1", seed=1, recipe=waiting)
    recipe = write_recipe(tmp_path, hooked(receiver))
    arguments = ("promote", recipe, "2", "--tracking-uri", tracking.uri)
    with monkeypatch.context() as patch:
        patch.setattr(announcing.Announcer, "follow_up", _die)
        with pytest.raises(Died):
            command(tracking.folder, *arguments)
    assert told(receiver) == []

    again = command(tracking.folder, *arguments)

    assert "is @champion already" in again.stderr
    assert told(receiver) == [("promoted", "2")]


def test_secret_that_the_named_recipe_needs_is_missed_before_anything_moves(
    tracking, receiver, command, monkeypatch, tmp_path
):
    tracking.promoted("run-1")
    tracking.promoted("run-2", champion="1", seed=1)
    before = tracking.registry()
    monkeypatch.delenv("KUBEDISTILL_WEBHOOK_SECRET")
    recipe = write_recipe(tmp_path, hooked(receiver))

    done = command(tracking.folder, "rollback", recipe, "--tracking-uri", tracking.uri)

    assert done.status == 2
    assert "KUBEDISTILL_WEBHOOK_SECRET, which signs events for" in done.stderr
    assert tracking.registry() == before


def test_rollback_of_a_model_needs_no_secret_and_its_event_is_sent_later(
    tracking, receiver, command, monkeypatch
):
    tracking.promoted("run-1", recipe=hooked(receiver))
    tracking.promoted("run-2", champion="1", seed=1, recipe=hooked(receiver))
    arguments = (MODEL, "--tracking-uri", tracking.uri)
    with monkeypatch.context() as patch:
        patch.delenv("KUBEDISTILL_WEBHOOK_SECRET")
        done = command(tracking.folder, "rollback", *arguments)
    assert done.status == 0
    assert "is not set; the next move or run tries again" in done.stderr

    command(tracking.folder, "promote", MODEL, "1", *arguments[1:])

    assert told(receiver)[-1] == ("rolled_back", "1")


def test_named_recipe_counts_also_where_it_has_no_receiver(tracking, receiver, command, tmp_path):
    tracking.promoted("run-1", recipe=hooked(receiver))
    tracking.promoted("run-2", champion="1", seed=1, recipe=hooked(receiver))
    recipe = write_recipe(tmp_path, RECIPE)

    done = command(tracking.folder, "rollback", recipe, "--tracking-uri", tracking.uri)

    assert done.status == 0
    assert told(receiver) == [("promoted", "1"), ("promoted", "2")]


def test_event_that_a_receiver_refuses_is_passed_over_and_that_is_said(tracking, receiver, command):
    tracking.promoted("run-1", recipe=hooked(receiver))
    tracking.promoted("run-2", champion="1", seed=1, recipe=hooked(receiver))
    receiver.answers = [422]

    done = command(tracking.folder, "rollback", MODEL, "--tracking-uri", tracking.uri)

    assert done.status == 0
    assert "answered 422 Unprocessable" in done.stderr
    assert "which is passed over" in done.stderr
    tracking.promoted("run-3", champion="1", seed=2, recipe=hooked(receiver))
    assert told(receiver)[-1] == ("promoted", "3")
    assert told(receiver).count(("rolled_back", "1")) == 1


def test_only_moves_that_took_effect_are_told(tracking, receiver):
    tracking.promoted("run-1", recipe=hooked(receiver))
    with registered(SPEC, tracking.uri) as model:
        last = model.view.settled
        model.ledger.settle(model.view.entries[last - 2])
        view = model.ledger.read()
        assert [entry.move.sequence for entry in view.done] == list(range(1, last))


class Died(BaseException):
    """Like kill -9."""


def _die(*args, **kwargs):
    raise Died


def _refuse(manifest):
    raise ApplyFailed("InferenceService serving/tiny-student: the cluster says no")
