"""Registration against MLflow over HTTP does what it does on SQLite."""

import mlflow
import numpy as np
import pytest

from components.registration import tags
from components.shared.deployable import DEPLOYABLE, ONNX_FILE
from components.shared.files import sha256_bytes
from tests.registration.pipeline_run_files import ROWS


def test_promoted_student_is_what_serving_loads(platform):
    run = platform.write("run-1")

    record = platform.register(run)

    assert (record.version, record.alias, record.former_version) == ("1", "champion", None)
    version = platform.client.get_model_version_by_alias(platform.model, "champion")
    assert version.run_id == record.mlflow_run_id
    assert version.tags[tags.STUDENT_DIGEST] == sha256_bytes(run.onnx)
    model = mlflow.pyfunc.load_model(f"models:/{platform.model}@champion")
    np.testing.assert_array_equal(model.predict(ROWS)["probabilities"], run.probabilities(ROWS))


def test_champion_comes_back_byte_for_byte(platform, tmp_path):
    run = platform.promoted("run-1")

    record = platform.fetch_champion(tmp_path / "champion")

    assert (record.state, record.version, record.run_id) == ("present", "1", "run-1")
    assert record.recipe is not None
    for name in (ONNX_FILE, DEPLOYABLE):
        assert (tmp_path / "champion" / name).read_bytes() == (run.student / name).read_bytes()


def test_second_promotion_keeps_the_former_champion_and_its_retry_changes_nothing(platform):
    platform.promoted("run-1")
    run = platform.write("run-2", champion="1", seed=1)

    first = platform.register(run)
    before = platform.versions()
    second = platform.register(run)

    assert (first.version, first.former_version) == ("2", "1")
    assert second == first
    assert platform.aliases() == {"champion": "2", "former-champion": "1"}
    assert platform.versions() == before
    assert len(before) == 2


def test_rejection_is_recorded_and_registers_nothing(platform):
    record = platform.register(platform.write("run-1", verdict="reject"))

    assert (record.verdict, record.version) == ("reject", None)
    assert platform.versions() == []
    client = platform.client
    assert client.get_run(record.mlflow_run_id).info.status == "FINISHED"
    logged = {file.path for file in client.list_artifacts(record.mlflow_run_id)}
    assert logged >= {"report.html", "decision.json", "registration.json"}


def test_run_of_the_platform_is_continued_and_left_open(platform, monkeypatch):
    experiment = platform.create_experiment(f"{platform.experiment}-of-the-platform")
    opened = platform.client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)

    record = platform.register(platform.write("run-1"))

    assert record.mlflow_run_id == opened
    run = platform.client.get_run(opened)
    assert run.info.status == "RUNNING"
    assert run.data.metrics["student.accuracy"] == pytest.approx(0.94)


def test_step_puts_artifacts_into_s3_itself(secured, s3):
    before = set(s3.keys("direct/"))

    secured.promoted("run-1")

    assert any(key.endswith(f"/{ONNX_FILE}") for key in set(s3.keys("direct/")) - before)


def test_server_puts_artifacts_into_s3(proxied, s3):
    proxied.promoted("run-1")

    keys = s3.keys(f"through-the-server/{proxied.experiment}/")
    assert any(key.endswith(f"/{ONNX_FILE}") for key in keys)
