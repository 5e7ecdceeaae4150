"""What follows a move: receivers are told, and KServe serves the champion, sooner or later.

Applying the manifest is tested against a real API server, in tests/cluster/test_kserve.py; here it
is recorded what would be applied, and in which order.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
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
    monkeypatch.setenv("KUBEDISTILL_WEBHOOK_SECRET", "a-secret-of-at-least-24-bytes")
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


def test_edited_recipe_is_not_followed(tracking, command, applied, tmp_path):
    tracking.promoted("run-1", recipe=served())
    tracking.promoted("run-2", champion="1", seed=1, recipe=served())
    client = tracking.client
    (tmp_path / "recipe.yaml").write_text("registry: {model: tiny-student}")
    run_id = client.get_model_version(MODEL, "2").run_id
    client.log_artifact(run_id, str(tmp_path / "recipe.yaml"))

    done = command(tracking.folder, "rollback", MODEL, "--tracking-uri", tracking.uri)

    assert done.status == 0
    assert "the recipe of version 2 was edited" in done.stderr
    assert applied == ["1", "2"]


def test_only_moves_that_took_effect_are_told(tracking, receiver):
    tracking.promoted("run-1", recipe=hooked(receiver))
    with registered(SPEC, tracking.uri) as model:
        last = model.view.settled
        model.ledger.settle(last - 1)
        view = model.ledger.read()
        assert [entry.move.sequence for entry in view.done] == list(range(1, last))


class Died(BaseException):
    """Like kill -9."""


def _die(*args, **kwargs):
    raise Died


def _refuse(manifest):
    raise ApplyFailed("InferenceService serving/tiny-student: the cluster says no")
