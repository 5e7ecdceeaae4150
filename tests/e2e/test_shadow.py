"""``kubedistill shadow``: two real students on handwritten digits that neither has seen."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_digits

from components.registration import tags
from components.shared.deployable import read_deployable
from components.shared.results import Comparison
from tests.command_line import Done, Ended, Workspace

MODEL = "digits-student"
CHALLENGER = "pruned_channels_50"
KNOWN, EARLIER = 40, 30
QUICK = ("--latency-budget", "0.5")

Command = Callable[..., Done]


def write_rows(path: Path, labels: bool = True) -> None:
    """The digits with a little noise, as they might arrive tomorrow.

    The first rows have the ids of rows that the students were trained or tested on, the next ones
    arrived last week; of the labels, half are known.
    """
    data = load_digits()
    rows = len(data.target)
    generator = np.random.default_rng(0)
    pixels = np.clip(data.data + generator.integers(-2, 3, data.data.shape), 0, 16)
    now = datetime.now(UTC)
    arrived = [now + timedelta(hours=1)] * rows
    arrived[KNOWN : KNOWN + EARLIER] = [now - timedelta(days=7)] * EARLIER
    names = [f"digits-{row:05d}" for row in range(KNOWN)]
    columns = {
        "id": [*names, *(f"tomorrow-{row:05d}" for row in range(KNOWN, rows))],
        "image": pa.FixedSizeListArray.from_arrays(pa.array(pixels.astype(np.uint8).ravel()), 64),
        "at": arrived,
    }
    if labels:
        known = [int(label) if row % 2 else None for row, label in enumerate(data.target)]
        columns["label"] = pa.array(known, pa.int64())
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="module")
def waiting(
    promoted: tuple[Workspace, Ended], tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """The registry of the promoted student, with another form of it that waits for approval."""
    workspace = Workspace(tmp_path_factory.mktemp("waiting"))
    database = workspace.database
    database.parent.mkdir()
    shutil.copyfile(promoted[0].database_after_the_first_run, database)
    (candidate,) = promoted[1].output.glob(f"pipeline/*/compress-student/candidates/{CHALLENGER}")
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    version = client.create_model_version(
        MODEL,
        candidate.as_uri(),
        run_id=client.get_model_version(MODEL, "1").run_id,
        tags={tags.STUDENT_DIGEST: read_deployable(candidate).onnx_sha256},
    ).version
    client.set_registered_model_alias(MODEL, "challenger", version)
    write_rows(workspace.folder / "rows.parquet")
    write_rows(workspace.folder / "unlabelled.parquet", labels=False)
    return workspace


def client_of(workspace: Workspace) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{workspace.folder}/.kubedistill/mlflow.db")


def test_challenger_as_good_as_the_champion_is_supported_by_fresh_labels(
    waiting: Workspace, command: Command
) -> None:
    done = command(
        waiting.folder, "shadow", MODEL, "rows.parquet", "--time", "at", "--margin", "0.05",
        "--output", "out", "--json", *QUICK,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    found = Comparison.model_validate_json(done.stdout)
    assert (found.recommendation, found.judged_by) == ("supports", "labels")
    assert (found.rows.left_out_known, found.rows.earlier) == (KNOWN, EARLIER)
    assert found.rows.labelled == pytest.approx((1797 - KNOWN - EARLIER) / 2, abs=1)
    assert found.champion.metrics["accuracy"].value > 0.85
    assert (found.champion.version, found.challenger.version) == ("1", "2")
    assert json.loads((waiting.folder / "out" / "comparison.json").read_text()) == json.loads(
        done.stdout
    )
    assert found.summary in (waiting.folder / "out" / "comparison.html").read_text()
    assert found.summary in done.stderr
    version = client_of(waiting).get_model_version(MODEL, "2")
    assert version.tags[tags.SHADOW].startswith("supports (")
    assert client_of(waiting).list_artifacts(version.run_id, "shadow")


def test_without_labels_and_with_too_little_agreement_the_status_is_3(
    waiting: Workspace, command: Command
) -> None:
    done = command(
        waiting.folder, "shadow", MODEL, "unlabelled.parquet", "--challenger", "2",
        "--min-agreement", "1", "--output", "unlabelled", *QUICK,
    )  # fmt: skip
    assert done.status == 3, done.stderr
    found = Comparison.model_validate_json(
        (waiting.folder / "unlabelled" / "comparison.json").read_text()
    )
    assert (found.recommendation, found.judged_by) == ("against", "agreement")
    assert found.rows.labelled == 0
    assert "against" in done.stderr


def test_what_is_not_settled_must_not_let_a_job_go_on_to_promote(
    waiting: Workspace, command: Command
) -> None:
    done = command(
        waiting.folder, "shadow", MODEL, "rows.parquet", "--min-rows", "5000", "--output", "few",
        *QUICK,
    )  # fmt: skip
    assert done.status == 3, done.stderr
    assert "inconclusive" in done.stderr
    assert "5,000 are needed to judge" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows.parquet", "--challenger", "7"), "'digits-student' has no version 7; it has 1, 2"),
        (("rows.parquet", "--challenger", "1"), "version 1 of 'digits-student' is the champion"),
        (("gone.parquet",), "there is no file or folder"),
        (("rows.parquet", "--time", "when"), "no column 'when', which data uses as time"),
    ],
)
def test_wrong_input_ends_with_status_2_and_changes_nothing(
    waiting: Workspace, command: Command, arguments: tuple[str, ...], message: str
) -> None:
    before = dict(client_of(waiting).get_model_version(MODEL, "2").tags)
    done = command(waiting.folder, "shadow", MODEL, *arguments, "--output", "wrong", *QUICK)
    assert done.status == 2
    assert message in done.stderr
    assert not (waiting.folder / "wrong" / "comparison.json").exists()
    assert client_of(waiting).get_model_version(MODEL, "2").tags == before


def test_time_that_is_none_is_refused_before_anything_runs(
    waiting: Workspace, command: Command
) -> None:
    done = command(
        waiting.folder, "shadow", MODEL, "rows.parquet", "--time", "at", "--since", "yesterday"
    )
    assert done.status == 2
    assert "--since yesterday: is not a time such as 2026-11-30" in done.stderr
    assert not (waiting.folder / "runs").exists()


def test_option_out_of_range_is_refused(waiting: Workspace, command: Command) -> None:
    done = command(waiting.folder, "shadow", MODEL, "rows.parquet", "--margin", "-0.1")
    assert done.status == 2
    assert "margin" in done.stderr
