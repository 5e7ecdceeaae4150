"""What a promotion, a rejection and a retry do to the registry."""

import json
from concurrent.futures import ThreadPoolExecutor

import mlflow
import numpy as np
import pytest
from pipeline_run_files import CANDIDATE, RECIPE, REGISTRY, ROWS, write_pipeline_run

from components.registration import steps, tags
from components.registration.history import read_history
from components.registration.promotion import concluding
from components.registration.promotion.subject import ChampionMoved
from components.shared.deployable import DEPLOYABLE, ONNX_FILE
from components.shared.files import sha256_bytes
from components.shared.recipe import RegistrySpec
from components.shared.results import Registration

MODEL = REGISTRY["model"]


def test_first_promotion_registers_the_student_as_champion(tracking):
    run = tracking.write("run-1")

    record = tracking.register(run)

    assert (record.version, record.alias, record.former_version) == ("1", "champion", None)
    assert (record.outcome, record.verdict) == ("promoted", "promote")
    assert Registration.model_validate_json(run.output.read_bytes()) == record
    version = tracking.client.get_model_version_by_alias(MODEL, "champion")
    assert version.run_id == record.mlflow_run_id
    assert version.tags[tags.RUN_ID] == "run-1"
    assert version.tags[tags.STUDENT_DIGEST] == sha256_bytes(run.onnx)
    assert version.tags[tags.PARENT_VERSION] == ""
    assert version.tags[tags.CANDIDATE] == CANDIDATE
    assert "93.0\u00a0%" in version.description


def test_second_promotion_keeps_the_former_champion(tracking):
    tracking.promoted("run-1")

    record = tracking.register(tracking.write("run-2", champion="1", seed=1))

    assert (record.version, record.former_version) == ("2", "1")
    client = tracking.client
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "2"
    former = client.get_model_version_by_alias(MODEL, "former-champion")
    assert str(former.version) == "1"
    assert client.get_model_version(MODEL, "2").tags[tags.PARENT_VERSION] == "1"


def test_rejection_leaves_the_registry_as_it_was(tracking):
    tracking.promoted("run-1")
    before = tracking.registry()

    record = tracking.register(tracking.write("run-2", verdict="reject", champion="1", seed=1))

    assert (record.verdict, record.version, record.alias) == ("reject", None, None)
    assert tracking.registry() == before


def test_rejection_in_an_empty_registry_creates_no_model(tracking):
    tracking.register(tracking.write("run-1", verdict="reject"))

    assert tracking.registry() == {"models": [], "versions": []}


@pytest.mark.parametrize("measured_against", [None, "1"])
def test_promotion_is_refused_when_the_champion_moved_meanwhile(tracking, measured_against):
    tracking.promoted("run-1")
    late = tracking.write("late", champion=measured_against, seed=2)
    tracking.promoted("run-2", champion="1", seed=1)
    before = tracking.registry()

    with pytest.raises(ChampionMoved, match="since it was measured"):
        tracking.register(late)

    assert tracking.registry() == before
    assert not late.output.exists()


def test_champion_that_moves_during_the_upload_is_noticed(tracking, monkeypatch):
    tracking.promoted("run-1")
    late = tracking.write("late", champion="1", seed=2)
    upload = concluding.logged_model

    def upload_while_another_is_promoted(*args):
        monkeypatch.setattr(concluding, "logged_model", upload)
        tracking.promoted("run-2", champion="1", seed=1)
        return upload(*args)

    monkeypatch.setattr(concluding, "logged_model", upload_while_another_is_promoted)
    with pytest.raises(ChampionMoved, match="moved from 1 to 2"):
        tracking.register(late)

    assert str(tracking.client.get_model_version_by_alias(MODEL, "champion").version) == "2"


def test_of_runs_that_register_at_the_same_time_one_is_promoted(tracking):
    runs = [tracking.write(f"run-{seed}", seed=seed) for seed in range(4)]
    tracking.client  # noqa: B018 - makes it MLflow's store

    with ThreadPoolExecutor(len(runs)) as pool:
        attempts = [pool.submit(tracking.register, run) for run in runs]
        outcomes = [attempt.exception() for attempt in attempts]

    refused = [outcome for outcome in outcomes if outcome is not None]
    assert {type(outcome) for outcome in refused} == {ChampionMoved}
    assert len(refused) == 3
    assert len(tracking.client.search_model_versions(f"name = '{MODEL}'")) == 1


def test_retry_of_a_finished_registration_changes_nothing(tracking):
    run = tracking.write("run-1")
    first = tracking.register(run)
    before = tracking.registry()

    assert tracking.register(run) == first
    assert tracking.registry() == before


@pytest.mark.parametrize("crash_at", ["create_model_version", "set_registered_model_alias"])
def test_retry_after_a_crash_completes_the_promotion_once(tracking, monkeypatch, crash_at):
    tracking.promoted("run-1")
    run = tracking.write("run-2", champion="1", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, crash_at, _crash)
        with pytest.raises(ProcessDied):
            tracking.register(run)
    assert not run.output.exists()

    record = tracking.register(run)

    client = tracking.client
    assert record.version == "2"
    assert len(client.search_model_versions(f"name = '{MODEL}'")) == 2
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "2"
    experiment = client.get_experiment_by_name("kubedistill").experiment_id
    assert len(client.search_runs([experiment])) == 2
    assert len(client.search_logged_models([experiment])) == 2


def test_retry_of_a_promotion_that_was_overtaken_does_not_take_the_alias_back(tracking):
    first = tracking.write("run-1")
    record = tracking.register(first)
    tracking.promoted("run-2", champion="1", seed=1)

    again = tracking.register(first)

    assert again.summary == (
        f"{MODEL} version 1 was promoted by move 2; since then its state has become former"
    )
    assert again.model_copy(update={"summary": record.summary}) == record
    assert str(tracking.client.get_model_version_by_alias(MODEL, "champion").version) == "2"


def test_retry_of_a_challenger_that_was_promoted_does_not_say_that_it_waits(tracking, command):
    tracking.promoted("run-1")
    recipe = RECIPE | {"registry": REGISTRY | {"promotion": "approval"}}
    run = tracking.write("run-2", champion="1", seed=1, recipe=recipe)
    assert "waits for approval: kubedistill promote tiny-student" in tracking.register(run).summary
    command(tracking.folder, "promote", MODEL, "--tracking-uri", tracking.uri)

    again = tracking.register(run)

    assert again.outcome == "challenger"
    assert "made to wait for approval by move 4; since then its state" in again.summary
    assert again.summary.endswith("has become champion")


def test_champion_that_moved_is_an_outcome_while_the_student_can_be_measured_again(tracking):
    tracking.promoted("run-1")
    late = tracking.write("late", champion="1", seed=2)
    tracking.promoted("run-2", champion="1", seed=1)
    before = tracking.registry()

    record = steps.register_student(
        late.inputs, tracking.uri, late.run_id, late.output, last_attempt=False
    )

    assert (record.outcome, record.version) == ("champion_moved", None)
    assert "moved from 1 to 2" in record.summary
    assert tracking.registry() == before
    measured_again = write_pipeline_run(tracking.folder / "again", "late", champion="2", seed=2)
    again = tracking.register(measured_again)
    assert (again.outcome, again.former_version) == ("promoted", "2")


def test_outcome_holds_the_hash_of_its_record(tracking):
    record = tracking.register(tracking.write("run-1"))

    (*_, move) = read_history(RegistrySpec(**REGISTRY), tracking.uri).moves
    assert (move.action, move.digest) == ("promote", record.record_digest)
    assert move.run_id == "run-1"


def test_student_that_is_not_the_measured_file_is_refused(tracking, stdout_events):
    run = tracking.write("run-1")
    other = tracking.write("other", seed=9)
    for name in (ONNX_FILE, DEPLOYABLE):
        (run.student / name).write_bytes((other.student / name).read_bytes())

    with pytest.raises(SystemExit) as exit_status:
        tracking.register(run)

    assert exit_status.value.code == 2
    assert "not the student that was measured" in stdout_events()[-1]["message"]
    assert tracking.registry() == {"models": [], "versions": []}


def test_onnx_file_changed_behind_its_description_is_refused(tracking, stdout_events):
    run = tracking.write("run-1")
    with (run.student / ONNX_FILE).open("ab") as file:
        file.write(b"\x2a\x03two")

    with pytest.raises(SystemExit):
        tracking.register(run)

    assert "SHA-256 differs" in stdout_events()[-1]["message"]


def test_decision_about_another_champion_than_the_measured_one_is_refused(tracking, stdout_events):
    run = tracking.write("run-1")
    decision = json.loads(run.inputs.decision.read_text())
    run.inputs.decision.write_text(json.dumps({**decision, "champion_version": "7"}))

    with pytest.raises(SystemExit):
        tracking.register(run)

    assert "the champion of the evaluation is None, expected 7" in stdout_events()[-1]["message"]


def test_missing_report_is_a_user_error_and_registers_nothing(tracking, stdout_events):
    run = tracking.write("run-1")
    run.inputs.report.unlink()

    with pytest.raises(SystemExit):
        tracking.register(run)

    assert "the report is not there" in stdout_events()[-1]["message"]
    assert tracking.registry() == {"models": [], "versions": []}


def test_run_id_that_could_alter_a_search_is_refused(tracking, stdout_events):
    run = tracking.write("run-1")

    with pytest.raises(SystemExit):
        steps.register_student(run.inputs, tracking.uri, "x' OR '", run.output)

    assert "run_id" in stdout_events()[-1]["message"]


def test_serving_loads_the_champion_and_predicts_as_onnx_runtime_does(tracking):
    run = tracking.promoted("run-1")
    tracking.client  # noqa: B018 - makes it MLflow's store

    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")

    np.testing.assert_array_equal(model.predict(ROWS)["probabilities"], run.probabilities(ROWS))
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 1, 2, 2)
    np.testing.assert_array_equal(model.input_example["input"], ROWS[3:4])


class ProcessDied(BaseException):
    """Like a signal: no handler for errors sees it."""


def _crash(*args, **kwargs):
    raise ProcessDied
