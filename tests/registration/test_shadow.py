"""A version's files for a comparison on fresh rows, and what was found kept with the challenger."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow.artifacts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline_run_files import RECIPE, REGISTRY

from components.data_validation import steps as data_steps
from components.evaluation import steps as evaluation_steps
from components.registration import shadow, shadow_steps, tags
from components.registration.client import TrackingError
from components.shared.deployable import DEPLOYABLE, ONNX_FILE
from components.shared.errors import UserError
from components.shared.records import read_record
from components.shared.results import CHAMPION_RECORD, ChampionRecord, Comparison

MODEL = REGISTRY["model"]


@pytest.fixture
def two_versions(tracking):
    """Version 1 is the champion; version 2 is another student, at the challenger's alias."""
    first = tracking.promoted("run-1")
    second = tracking.write("run-2", seed=5, champion="1", beside=first)
    tracking.register(second)
    client = tracking.client
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.set_registered_model_alias(MODEL, tags.challenger_alias("champion"), "2")
    return first, second


@pytest.fixture
def compared(tracking, two_versions, tmp_path):
    """What compare_challenger makes of the two, on 150 rows without a label."""
    for version in ("champion", "challenger"):
        shadow_steps.fetch_version(MODEL, version, tracking.uri, tmp_path / version)
    images = np.random.default_rng(0).normal(size=(150, 4)).tolist()
    table = pa.table({"id": [f"n{row}" for row in range(150)], "image": images})
    pq.write_table(table, tmp_path / "rows.parquet")
    folders = {role: tmp_path / role for role in ("champion", "challenger")}
    data_steps.collect_rows(
        {"uri": str(tmp_path / "rows.parquet")}, *folders.values(), tmp_path / "rows"
    )
    evaluation_steps.compare_challenger(
        model=MODEL,
        rows=tmp_path / "rows",
        **folders,
        policy={"latency": {"budget_s": 0.01, "attempts": 1}},
        comparison=tmp_path / "comparison",
        page=tmp_path / "page",
        recommendation=tmp_path / "recommendation",
    )
    return read_record(tmp_path / "comparison", Comparison, "comparison")


def shadow_files(tracking, version="2"):
    """Every file that a version's run has below its folder of comparisons."""
    client = tracking.client
    run_id = client.get_model_version(MODEL, version).run_id
    folders = client.list_artifacts(run_id, "shadow")
    return {
        file.path: mlflow.artifacts.load_text(f"runs:/{run_id}/{file.path}")
        for folder in folders
        for file in client.list_artifacts(run_id, folder.path)
    }


@pytest.mark.parametrize(("asked_for", "place"), [("2", 1), ("challenger", 1), ("champion", 0)])
def test_version_comes_back_byte_for_byte_by_number_or_alias(
    tracking, two_versions, tmp_path, asked_for, place
):
    record = shadow_steps.fetch_version(MODEL, asked_for, tracking.uri, tmp_path / "fetched")

    run = two_versions[place]
    assert (record.state, record.version, record.run_id) == ("present", str(place + 1), run.run_id)
    for name in (ONNX_FILE, DEPLOYABLE):
        original = (run.student / name).read_bytes()
        assert (tmp_path / "fetched" / name).read_bytes() == original
    written = read_record(tmp_path / "fetched" / CHAMPION_RECORD, ChampionRecord, "record")
    assert written == record
    assert written.recipe["name"] == RECIPE["name"]
    assert datetime.now(UTC) - written.registered_at < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [
        ("tiny-studnet", "1", "there is no registered model 'tiny-studnet'; there is tiny-student"),
        (MODEL, "9", "'tiny-student' has no version 9; it has 1, 2"),
        (MODEL, "canary", "no version with the alias 'canary' (it has the aliases: challenger"),
    ],
)
def test_version_that_is_not_there_is_a_clear_error(
    tracking, two_versions, tmp_path, stdout_events, model, version, message
):
    with pytest.raises(SystemExit) as exit_status:
        shadow_steps.fetch_version(model, version, tracking.uri, tmp_path / "fetched")

    assert exit_status.value.code == 2
    assert message in stdout_events()[-1]["message"]
    assert not (tmp_path / "fetched").exists()


def test_version_whose_files_are_gone_is_a_clear_error(
    tracking, two_versions, tmp_path, stdout_events
):
    shutil.rmtree(tmp_path / "artifacts")

    with pytest.raises(SystemExit):
        shadow_steps.fetch_version(MODEL, "2", tracking.uri, tmp_path / "fetched")

    assert "version 2 of 'tiny-student': its model.onnx is gone" in stdout_events()[-1]["message"]


def test_looking_for_a_version_makes_no_database(tmp_path, stdout_events):
    with pytest.raises(SystemExit):
        shadow_steps.fetch_version(
            MODEL, "1", f"sqlite:///{tmp_path}/new/mlflow.db", tmp_path / "f"
        )

    assert "no such database" in stdout_events()[-1]["message"]
    assert not (tmp_path / "new").exists()


def test_unreachable_server_is_a_short_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")

    with pytest.raises(TrackingError) as error:
        shadow_steps.fetch_version(MODEL, "1", "", tmp_path / "fetched")

    assert "secret" not in str(error.value)


def test_comparison_is_kept_in_the_run_and_the_tag_of_the_challenger(tracking, compared, tmp_path):
    folder = shadow_steps.attach_comparison(
        tmp_path / "comparison", tmp_path / "page", tracking.uri
    )

    assert shadow_files(tracking) == {
        f"{folder}/comparison.html": (tmp_path / "page").read_text(),
        f"{folder}/comparison.json": (tmp_path / "comparison").read_text(),
    }
    tag = tracking.client.get_model_version(MODEL, "2").tags[tags.SHADOW]
    assert tag.startswith(f"{compared.recommendation} (")
    assert compared.summary in tag
    assert "against version 1" in tag
    assert "\n" not in tag


def test_attaching_again_changes_nothing(tracking, compared, tmp_path):
    arguments = (tmp_path / "comparison", tmp_path / "page", tracking.uri)
    shadow_steps.attach_comparison(*arguments)
    files, registry = shadow_files(tracking), tracking.registry()

    shadow_steps.attach_comparison(*arguments)

    assert shadow_files(tracking) == files
    # Setting a tag to what it is moves MLflow's timestamp of the last update.
    assert without_times(tracking.registry()) == without_times(registry)


def test_later_comparison_is_kept_beside_the_earlier_one(tracking, compared, tmp_path):
    shadow_steps.attach_comparison(tmp_path / "comparison", tmp_path / "page", tracking.uri)
    later = compared.model_copy(
        update={"created": compared.created + timedelta(days=1), "summary": "Later."}
    )
    (tmp_path / "later").write_text(later.model_dump_json())

    shadow_steps.attach_comparison(tmp_path / "later", tmp_path / "page", tracking.uri)

    assert len(shadow_files(tracking)) == 4
    assert tracking.client.get_model_version(MODEL, "2").tags[tags.SHADOW].endswith("Later.")


def test_champion_and_aliases_stay_as_they_are(tracking, compared, tmp_path):
    before = tracking.registry()

    shadow_steps.attach_comparison(tmp_path / "comparison", tmp_path / "page", tracking.uri)

    after = tracking.registry()
    assert after["models"] == before["models"]
    assert shadow_files(tracking, "1") == {}
    assert tags.SHADOW not in tracking.client.get_model_version(MODEL, "1").tags


def test_comparison_of_another_file_is_refused(tracking, compared, tmp_path, stdout_events):
    other = json.loads((tmp_path / "comparison").read_text())
    other["challenger"]["model_digest"] = "0" * 64
    (tmp_path / "comparison").write_text(json.dumps(other))
    before = tracking.registry()

    with pytest.raises(SystemExit) as exit_status:
        shadow_steps.attach_comparison(tmp_path / "comparison", tmp_path / "page", tracking.uri)

    assert exit_status.value.code == 2
    assert "about another file than version 2" in stdout_events()[-1]["message"]
    assert tracking.registry() == before
    assert shadow_files(tracking) == {}


def test_version_without_a_run_has_the_tag_alone(tracking, compared, tmp_path):
    client = tracking.client
    digest = {tags.STUDENT_DIGEST: compared.challenger.model_digest}
    version = client.create_model_version(MODEL, tmp_path.as_uri(), tags=digest).version
    challenger = compared.challenger.model_copy(update={"version": str(version)})
    changed = compared.model_copy(update={"challenger": challenger})
    path = tmp_path / "changed"
    path.write_text(changed.model_dump_json())

    assert shadow.attach(client, path, tmp_path / "page") is None

    assert compared.summary in client.get_model_version(MODEL, version).tags[tags.SHADOW]


def test_damaged_comparison_is_refused(tracking, two_versions, tmp_path):
    (tmp_path / "half").write_text('{"format_version": 1')
    with pytest.raises(UserError, match="not a valid comparison"):
        shadow.attach(tracking.client, tmp_path / "half", Path("page"))


def without_times(registry):
    return {
        **registry,
        "versions": [
            {key: value for key, value in version.items() if key != "last_updated_timestamp"}
            for version in registry["versions"]
        ],
    }
