"""Fetching the champion that a student is compared with."""

import shutil
from pathlib import Path

import pytest
from pipeline_run_files import REGISTRY

from components.registration import steps
from components.registration.client import TrackingError
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable


def test_champion_comes_back_byte_for_byte(tracking, tmp_path):
    run = tracking.promoted("run-1")

    version = steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")

    assert version == "1"
    for name in (ONNX_FILE, DEPLOYABLE):
        original = (run.inputs.student / name).read_bytes()
        assert (tmp_path / "champion" / name).read_bytes() == original
    assert read_deployable(tmp_path / "champion").role == "student"


def test_no_registered_model_gives_no_model(tracking, tmp_path):
    assert steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion") == ""
    assert (tmp_path / "champion" / "champion.json").read_text() == '{"version": null}'


def test_model_without_the_alias_gives_no_model(tracking, tmp_path):
    tracking.promoted("run-1")
    registry = {**REGISTRY, "alias": "canary"}

    assert steps.fetch_champion(registry, tracking.uri, tmp_path / "champion") == ""
    assert (tmp_path / "champion" / "champion.json").read_text() == '{"version": null}'


def test_looking_for_a_champion_makes_no_database(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"

    assert steps.fetch_champion(REGISTRY, uri, tmp_path / "champion") == ""
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
        shutil.copyfile(other.inputs.student / name, stored / name)

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
