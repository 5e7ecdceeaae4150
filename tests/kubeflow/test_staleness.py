"""Whether a run is due: by the data, by the age of the champion, and not at every tick again."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from components.registration import tags
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec
from pipelines.kubeflow.staleness import Champion, EarlierRun, Past, age_of, due, read_past
from tests.registration.pipeline_run_files import REGISTRY, write_pipeline_run

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
MONTH = timedelta(days=30)
OLD, NEW = "a" * 64, "b" * 64


def past(promoted_days: float | None, *runs: tuple[str, str, float]) -> Past:
    """A champion of the old data, and runs as (digest, verdict, days ago)."""
    champion = None
    if promoted_days is not None:
        champion = Champion("4", OLD, NOW - timedelta(days=promoted_days))
    return Past(
        champion,
        [EarlierRun(f"run-{n}", d, v, NOW - timedelta(days=a)) for n, (d, v, a) in enumerate(runs)],
    )


@pytest.mark.parametrize(
    ("known", "digest", "age", "submit", "reason"),
    [
        (past(3), OLD, None, False, "version 4 was trained on these data (aaaaaaaaaaaa)"),
        (past(3), NEW, None, True, "the data (bbbbbbbbbbbb) are not those of version 4"),
        (past(None), NEW, None, True, "there is no champion"),
        (past(3, (NEW, "reject", 1)), NEW, None, False, "rejected in run run-0"),
        (past(None, (NEW, "reject", 1)), NEW, None, False, "rejected in run run-0"),
        (past(3, (NEW, "promote", 1)), NEW, None, False, "passed in run run-0"),
        (past(3), None, MONTH, False, "version 4 is 3 days old, under 30 days"),
        (past(31), None, MONTH, True, "version 4 is 31 days old"),
        (past(31, (OLD, "reject", 2)), None, MONTH, False, "run run-0 was judged 2 days ago"),
        (past(61, (OLD, "reject", 31)), None, MONTH, True, "version 4 is 61 days old"),
        (past(None), None, MONTH, True, "there is no champion"),
        (past(31), OLD, MONTH, True, "version 4 is 31 days old"),
        (past(3), OLD, MONTH, False, "on these data (aaaaaaaaaaaa), and version 4 is 3 days old"),
    ],
)
def test_when_a_run_is_due(known, digest, age, submit, reason):
    answer = due(known, digest, age, NOW)

    assert answer.submit is submit
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("text", "age"),
    [("30d", MONTH), ("12h", timedelta(hours=12)), ("45m", timedelta(minutes=45))],
)
def test_ages(text, age):
    assert age_of(text) == age


@pytest.mark.parametrize("text", ["30", "0d", "d", "-1d", "1.5d", "30 d", "9999999999d"])
def test_what_is_no_age(text):
    with pytest.raises(UserError, match="should be a time such as 30d"):
        age_of(text)


def test_the_past_is_read_from_the_registry_and_its_runs(records):
    spec = RegistrySpec.model_validate(REGISTRY)
    assert read_past(spec, records.uri) == Past(None, [])
    records.record("run-1")
    records.record("run-2", champion="1", verdict="reject", shift=1.0, seed=1)

    known = read_past(spec, records.uri)

    assert known.champion.version == "1"
    assert [(run.run_id, run.verdict) for run in known.runs] == [
        ("run-2", "reject"),
        ("run-1", "promote"),
    ]
    assert known.runs[1].dataset_digest == known.champion.dataset_digest
    assert known.runs[0].dataset_digest != known.champion.dataset_digest


def test_submits_once_for_changed_data_and_says_why_not_again(
    kubeflow, kubedistill, recipe, records, tmp_path
):
    from components.shared.recipe import load_recipe
    from pipelines.kubeflow.staleness import data_digest

    write_pipeline_run(tmp_path / "data", "run-0")
    document = yaml.safe_load(recipe.read_text())
    document["data"] |= {
        "uri": str(tmp_path / "data" / "dataset" / "rows.parquet"),
        "id": "id",
        "label": "label",
        "split": {"by": "column", "column": "split"},
    }
    document["data"]["input"] |= {"column": "image"}
    recipe.write_text(yaml.safe_dump(document))
    records.record("run-1")
    arguments = ("submit", recipe, "--if-data-changed", "--if-stale", "30d", "--json")

    changed = kubedistill(*arguments)

    assert changed.status == 0, changed.stderr
    told = json.loads(changed.stdout)
    assert told["submitted"]
    assert "are not those of version 1" in told["reason"]
    digest = data_digest(load_recipe(recipe))
    records.client.set_model_version_tag("tiny-student", "1", tags.DATASET_DIGEST, digest)

    same = kubedistill(*arguments, "--summary", tmp_path / "s.md")

    assert same.status == 0, same.stderr
    assert json.loads(same.stdout)["submitted"] is False
    assert "not submitted: version 1 was trained on these data" in same.stderr
    assert "### tiny: not submitted" in (tmp_path / "s.md").read_text()
    assert len(kubeflow.runs) == 1


def test_without_mlflow_it_is_said_that_one_is_needed(kubeflow, kubedistill, recipe):
    done = kubedistill("submit", recipe, "--if-stale", "30d")

    assert done.status == 2
    assert "no MLflow tracking URI" in done.stderr
    assert kubeflow.requests == []
