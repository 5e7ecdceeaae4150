"""What a person does to a registered model: promote, reject, roll back; and what is refused."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
import numpy as np
import pytest
from pipeline_run_files import RECIPE, REGISTRY, ROWS

from components.registration import history
from components.registration.promotion.commands import accept, promote, reject, roll_back
from components.registration.promotion.registered import registered
from components.registration.promotion.subject import ChampionMoved
from components.registration.status import read_status
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec

MODEL = REGISTRY["model"]
SPEC = RegistrySpec(model=MODEL)
APPROVAL = RECIPE | {"registry": REGISTRY | {"promotion": "approval"}}
DRY_RUN = RECIPE | {"registry": REGISTRY | {"promotion": "dry_run"}}


class Registry:
    """A registry in which ``run-1`` made the first champion."""

    def __init__(self, tracking) -> None:
        self.tracking = tracking
        tracking.promoted("run-1")

    def wait(self, run_id: str = "run-2", champion: str = "1", seed: int = 1):
        """A student that passed and waits for approval."""
        return self.tracking.promoted(run_id, champion=champion, seed=seed, recipe=APPROVAL)

    def promote(self, version=None, reason=None, force=False, dry_run=False):
        with registered(SPEC, self.tracking.uri) as model:
            return promote(model, version, reason=reason, force=force, dry_run=dry_run)

    def roll_back(self, version=None, reason="worse", dry_run=False):
        with registered(SPEC, self.tracking.uri) as model:
            return roll_back(model, version, reason=reason, dry_run=dry_run)

    def reject(self, version=None, reason="not plausible", dry_run=False):
        with registered(SPEC, self.tracking.uri) as model:
            return reject(model, version, reason=reason, dry_run=dry_run)

    def accept(self, reason):
        with registered(SPEC, self.tracking.uri) as model:
            return accept(model, reason)

    @property
    def aliases(self) -> dict[str, str]:
        found = self.tracking.client.get_registered_model(MODEL).aliases
        return {alias: str(version) for alias, version in found.items()}

    @property
    def actions(self) -> list[str]:
        return [move.action for move in history.read_history(SPEC, self.tracking.uri).moves]


@pytest.fixture
def registry(tracking) -> Registry:
    return Registry(tracking)


def test_approval_mode_stops_at_challenger(registry):
    run = registry.wait()

    record = registry.tracking.register(run)
    assert (record.outcome, record.version, record.alias) == ("challenger", "2", "challenger")
    assert registry.aliases == {"champion": "1", "challenger": "2"}
    assert "waits for approval" in record.summary


def test_approved_challenger_becomes_the_champion(registry):
    registry.wait()

    done = registry.promote(reason="looked at it")

    assert registry.aliases == {"champion": "2", "former-champion": "1"}
    assert done.entry.move.reason == "looked at it"
    assert done.entry.move.run_id == "run-2"
    assert done.entry.move.compared_with == "1"
    assert registry.promote("2").entry is None  # said twice, done once


def test_dry_run_mode_says_what_it_would_do_and_changes_nothing(registry):
    before = registry.tracking.registry()
    run = registry.tracking.write("run-2", champion="1", seed=1, recipe=DRY_RUN)

    record = registry.tracking.register(run)

    assert (record.outcome, record.version) == ("dry_run", None)
    assert "would register" in record.summary
    assert "taking over from version 1" in record.summary
    assert registry.tracking.registry() == before


def test_dry_runs_of_commands_change_nothing(registry):
    registry.wait()
    before = registry.tracking.registry()

    assert "would point @champion" in registry.promote(dry_run=True).summary
    assert "would reject version 2" in registry.reject(dry_run=True).summary
    assert registry.tracking.registry() == before

    registry.promote()
    before = registry.tracking.registry()
    assert "back to version 1" in registry.roll_back(dry_run=True).summary
    assert registry.tracking.registry() == before


def test_rejected_challenger_is_not_promoted_but_by_force(registry):
    registry.wait()
    registry.reject(reason="the slices look odd")

    assert registry.aliases == {"champion": "1"}
    with pytest.raises(UserError, match="it is rejected"):
        registry.promote("2")
    done = registry.promote("2", reason="they were right after all", force=True)
    assert done.entry.move.forced
    assert registry.aliases["champion"] == "2"


def test_challenger_is_out_of_date_once_another_was_promoted(registry):
    registry.wait()
    registry.tracking.promoted("run-3", champion="1", seed=3)

    assert registry.aliases == {"champion": "3", "former-champion": "1"}
    with pytest.raises(UserError, match="champion of 'tiny-student' moved from 1 to 3"):
        registry.promote("2")


@pytest.mark.parametrize("command", ["promote", "reject"])
def test_without_a_challenger_a_version_has_to_be_named(registry, command):
    with pytest.raises(UserError, match="no version at @challenger"):
        getattr(registry, command)()


@pytest.mark.parametrize("version", ["7", "seven"])
@pytest.mark.parametrize("command", ["promote", "reject", "roll_back"])
def test_unknown_version_is_refused_and_known_ones_are_named(registry, command, version):
    before = registry.tracking.registry()

    with pytest.raises(UserError, match=f"has no version {version}; it has 1"):
        getattr(registry, command)(version)

    assert registry.tracking.registry() == before


def test_unknown_model_is_refused(tracking):
    with pytest.raises(UserError, match="no registered model 'tiny-student'"):
        Registry.promote(type("R", (), {"tracking": tracking})())


def test_force_needs_a_reason(registry):
    registry.wait()

    for reason in (None, " "):
        with pytest.raises(UserError, match="--force needs --reason"):
            registry.promote("2", reason=reason, force=True)


def test_reason_that_is_too_long_is_refused(registry):
    registry.wait()

    with pytest.raises(UserError, match="at most 1000 fit"):
        registry.promote("2", reason="x" * 1001)


def test_decision_that_was_edited_is_refused(registry):
    registry.wait()
    client = registry.tracking.client
    version = client.get_model_version(MODEL, "2")
    path = Path(mlflow.artifacts.download_artifacts(f"runs:/{version.run_id}/decision.json"))
    decision = json.loads(path.read_text())
    path.write_text(json.dumps({**decision, "summary": "promote: everything is fine"}))
    client.log_artifact(version.run_id, str(path))
    before = registry.tracking.registry()

    with pytest.raises(UserError, match="decision.json was edited"):
        registry.promote()

    assert registry.tracking.registry() == before


def test_model_that_was_exchanged_is_refused(registry):
    run = registry.wait()
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/2"))
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\x2a\x03two")

    with pytest.raises(UserError, match="SHA-256 differs"):
        registry.promote()
    assert registry.aliases["champion"] == "1"
    assert run.onnx


@pytest.mark.parametrize("gone", ["decision", "model"])
def test_version_whose_artifacts_are_gone_is_refused(registry, gone):
    registry.wait()
    client = registry.tracking.client
    if gone == "decision":
        run = client.get_run(client.get_model_version(MODEL, "2").run_id)
        Path(url2pathname(urlsplit(run.info.artifact_uri).path), "decision.json").unlink()
    else:
        shutil.rmtree(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/2"))

    with pytest.raises(UserError, match="gone"):
        registry.promote()
    assert registry.aliases["champion"] == "1"


def test_version_that_the_history_does_not_know_needs_force(registry):
    client = registry.tracking.client
    other = client.create_model_version(MODEL, client.get_model_version(MODEL, "1").source)

    with pytest.raises(UserError, match="history does not know it"):
        registry.promote(str(other.version))

    registry.promote(str(other.version), reason="made by hand", force=True)
    assert registry.aliases["champion"] == "2"


def test_rollback_restores_the_former_champion_which_predicts_again(registry):
    first = registry.tracking.promoted("run-2", champion="1", seed=1)
    second = registry.tracking.promoted("run-3", champion="2", seed=2)
    assert champion_predicts(second)

    done = registry.roll_back(reason="errors in production")

    assert done.summary == "tiny-student version 2 is @champion again; version 3 is rejected"
    assert registry.aliases == {"champion": "2", "former-champion": "1"}
    assert champion_predicts(first)


def test_rollback_to_an_older_version(registry):
    registry.tracking.promoted("run-2", champion="1", seed=1)
    registry.tracking.promoted("run-3", champion="2", seed=2)

    registry.roll_back("1")

    assert registry.aliases == {"champion": "1"}


def test_rollback_without_a_former_champion_is_refused(registry):
    with pytest.raises(UserError, match="no former champion"):
        registry.roll_back()


def test_rollback_to_the_champion_does_nothing_and_to_one_that_never_was_is_refused(registry):
    registry.wait()

    assert registry.roll_back("1").entry is None
    with pytest.raises(UserError, match="cannot be rolled back to: it is the challenger"):
        registry.roll_back("2")


def test_rollback_to_a_version_whose_files_are_gone_is_refused(registry):
    registry.tracking.promoted("run-2", champion="1", seed=1)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/1"))
    (folder / "MLmodel").unlink()

    with pytest.raises(UserError, match="its artifacts are gone"):
        registry.roll_back()
    assert registry.aliases["champion"] == "2"


def test_retry_of_a_run_after_its_rollback_does_not_promote_again(registry):
    run = registry.tracking.promoted("run-2", champion="1", seed=1)
    registry.roll_back()

    record = registry.tracking.register(run)

    assert record.outcome == "promoted"  # as it was, when it was
    assert registry.aliases == {"champion": "1"}
    with pytest.raises(ChampionMoved):
        registry.tracking.promoted("run-3", champion="2", seed=3)


def test_command_after_another_persons_move_looks_again(registry):
    registry.wait()
    with registered(SPEC, registry.tracking.uri) as model:
        model.settle()
        registry.reject("2")
        with pytest.raises(ChampionMoved, match="another move"), model.moving():
            pass


def test_status_names_states_and_the_challenger(registry):
    registry.tracking.promoted("run-2", champion="1", seed=1)
    registry.wait("run-3", champion="2", seed=2)

    status = read_status(SPEC, registry.tracking.uri)

    assert [(v.version, v.state) for v in status.versions] == [
        ("3", "challenger"),
        ("2", "champion"),
        ("1", "former"),
    ]
    assert status.challenger.version == "3"
    assert status.former.version == "1"
    assert status.former.replaced_by == "2"
    assert status.notes == []


def test_status_says_what_is_out_of_order(registry):
    client = registry.tracking.client
    client.set_registered_model_tag(MODEL, "kubedistill.move.champion.000001", "{}")

    (note,) = read_status(SPEC, registry.tracking.uri).notes

    assert "tampered with" in note


def test_damaged_history_can_be_accepted_once(registry):
    client = registry.tracking.client
    client.delete_registered_model_tag(MODEL, "kubedistill.move.champion.000001")
    assert "move 1 is missing" in history.read_history(SPEC, registry.tracking.uri).fault

    registry.accept("a script cleaned up")

    found = history.read_history(SPEC, registry.tracking.uri)
    assert found.fault is None
    assert [move.action for move in found.moves] == ["promote", "accept"]
    with pytest.raises(UserError, match="is intact"):
        registry.accept("again")
    registry.tracking.promoted("run-2", champion="1", seed=1)


def champion_predicts(run) -> bool:
    """Whether what serving loads predicts as a run's student does."""
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    found = model.predict(ROWS)["probabilities"]
    return bool(np.array_equal(found, run.probabilities(ROWS)))
