"""Fetching the champion that a student is compared with."""

import shutil
from pathlib import Path

import pytest
from pipeline_run_files import RECIPE, REGISTRY

from components.registration import steps
from components.registration.client import TrackingError
from components.shared.bundle import read_bundle
from components.shared.dataset import Dataset
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable
from components.shared.recipe import Recipe
from components.shared.records import read_record
from components.shared.results import CHAMPION_RECORD, ChampionRecord


def test_champion_comes_back_byte_for_byte(tracking, tmp_path):
    run = tracking.promoted("run-1")

    record = steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert (record.state, record.version, record.run_id) == ("present", "1", "run-1")
    for name in (ONNX_FILE, DEPLOYABLE):
        original = (run.student / name).read_bytes()
        assert (tmp_path / "champion" / name).read_bytes() == original
    assert read_deployable(tmp_path / "champion").role == "student"


def test_no_registered_model_gives_no_model(tracking, tmp_path):
    record = steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert record == ChampionRecord(state="first_model", version=None)
    assert read_record(tmp_path / "champion" / CHAMPION_RECORD, ChampionRecord, "record") == record


def test_record_tells_what_the_champion_was_made_from(tracking, tmp_path):
    run = tracking.promoted("run-1")

    record = steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    manifest = Dataset.open(run.inputs.dataset).manifest
    assert record.dataset_digest == manifest.digest
    assert record.teacher_digest == read_bundle(run.inputs.bundles["teacher"]).digest
    assert Recipe.model_validate(record.recipe) == Recipe.model_validate(RECIPE)
    assert record.promoted_at is not None


def test_champion_whose_run_is_gone_has_no_recipe(tracking, tmp_path):
    tracking.promoted("run-1")
    client = tracking.client
    run_id = client.get_model_version(REGISTRY["model"], "1").run_id
    client.delete_run(run_id)
    shutil.rmtree(next((tmp_path / "artifacts").rglob("recipe.yaml")).parent)

    record = steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert (record.state, record.recipe) == ("present", None)


def test_alias_that_is_on_no_version_is_a_missing_champion(tracking, tmp_path):
    tracking.promoted("run-1")
    registry = {**REGISTRY, "alias": "canary"}

    record = steps.fetch_champion(registry, tracking.uri, tmp_path / "champion")

    assert record == ChampionRecord(state="missing", version=None)


def test_looking_for_a_champion_makes_no_database(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"

    record = steps.fetch_champion(REGISTRY, uri, tmp_path / "champion")

    assert record.state == "first_model"
    assert not (tmp_path / "new").exists()


def test_champion_whose_files_are_gone_is_a_clear_error(tracking, tmp_path, stdout_events):
    tracking.promoted("run-1")
    shutil.rmtree(tmp_path / "artifacts")

    with pytest.raises(SystemExit) as exit_status:
        steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert exit_status.value.code == 2
    message = stdout_events()[-1]["message"]
    assert "version 1 of 'tiny-student'" in message
    assert "model.onnx is gone" in message
    assert "delete the alias" in message
    assert not (tmp_path / "champion").exists()


def test_champion_whose_files_were_swapped_is_a_clear_error(tracking, tmp_path, stdout_events):
    tracking.promoted("run-1")
    other = tracking.write("other", seed=5)
    stored = next(Path(tmp_path / "artifacts" / "models").rglob(ONNX_FILE)).parent
    for name in (ONNX_FILE, DEPLOYABLE):
        shutil.copyfile(other.student / name, stored / name)

    with pytest.raises(SystemExit):
        steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert "not the one that was registered" in stdout_events()[-1]["message"]


def test_champion_whose_file_is_damaged_is_a_clear_error(tracking, tmp_path, stdout_events):
    tracking.promoted("run-1")
    next(Path(tmp_path / "artifacts" / "models").rglob(ONNX_FILE)).write_bytes(b"half")

    with pytest.raises(SystemExit):
        steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert "its files are damaged" in stdout_events()[-1]["message"]


def test_unreachable_server_is_a_short_error_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")

    with pytest.raises(TrackingError) as error:
        steps.fetch_champion(REGISTRY, "", tmp_path / "champion")

    assert "http://127.0.0.1:9" in str(error.value)
    assert "secret" not in str(error.value)
    assert len(str(error.value)) < 400
    assert error.value.__suppress_context__


def test_password_in_the_parameter_is_refused_without_repeating_it(tmp_path, capsys):
    with pytest.raises(SystemExit):
        steps.fetch_champion(REGISTRY, "http://me:secret@127.0.0.1:9", tmp_path / "champion")

    told = capsys.readouterr().out
    assert "MLFLOW_TRACKING_PASSWORD" in told
    assert "secret" not in told
