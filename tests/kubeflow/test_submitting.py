"""``kubedistill submit``: once, whatever gets lost; followed to its end; with the verdict."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from components.shared.files import write_atomically
from components.shared.recipe import load_recipe
from pipelines.compiling import compile_recipe
from tests.kubeflow.server import Fault, Moment

CREATE = "run_service_create_run"
LOOK = "run_service_get_run"
STEPS = {"check-recipe": "SUCCEEDED", "train-student": "RUNNING", "root": "RUNNING"}


def test_a_submitted_run_is_of_the_recipe_and_pinned_to_its_version(kubeflow, kubedistill, recipe):
    done = kubedistill("submit", recipe, "--tracking-uri", "http://mlflow:5000", "--json")

    assert done.status == 0, done.stderr
    told, (run,) = json.loads(done.stdout), kubeflow.runs.values()
    (version,) = kubeflow.versions.values()
    assert kubeflow.pipelines[version.pipeline_id].name == "tiny"
    assert run.pipeline_version_reference["pipeline_version_id"] == version.pipeline_version_id
    assert kubeflow.texts[version.pipeline_version_id] == compile_recipe(load_recipe(recipe))
    assert run.runtime_config["parameters"] == {"tracking_uri": "http://mlflow:5000"}
    assert (told["run_id"], told["submitted"]) == (run.run_id, True)
    assert told["pipeline_version"] == version.name
    assert told["url"] == f"{kubeflow.url}/#/runs/details/{run.run_id}"
    assert told["verdict"] is None


def test_what_kubeflow_has_already_is_not_uploaded_again(kubeflow, kubedistill, recipe):
    kubeflow.story = [Moment("SUCCEEDED")]
    kubedistill("submit", recipe)
    kubeflow.runs[next(iter(kubeflow.runs))].state = "SUCCEEDED"

    done = kubedistill("submit", recipe)

    assert done.status == 0
    assert len(kubeflow.runs) == 2  # the first one has ended
    assert len(kubeflow.versions) == len(kubeflow.pipelines) == len(kubeflow.experiments) == 1


def test_a_job_that_is_tried_again_follows_the_run_under_way(kubeflow, kubedistill, recipe):
    first = json.loads(kubedistill("submit", recipe, "--json").stdout)

    again = json.loads(kubedistill("submit", recipe, "--json").stdout)

    assert (again["run_id"], again["attached"]) == (first["run_id"], True)
    assert len(kubeflow.runs) == 1


def test_a_run_that_is_being_cancelled_is_not_joined(kubeflow, kubedistill, recipe):
    first = json.loads(kubedistill("submit", recipe, "--json").stdout)
    kubeflow.runs[first["run_id"]].state = "CANCELING"

    again = json.loads(kubedistill("submit", recipe, "--json").stdout)

    assert again["run_id"] != first["run_id"]
    assert not again["attached"]


def test_another_name_or_recipe_is_another_run(kubeflow, kubedistill, recipe):
    kubedistill("submit", recipe)
    kubedistill("submit", recipe, "--run-name", "again")
    kubedistill("submit", recipe, "--set", "seed=7")

    assert len(kubeflow.runs) == 3


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("healthz_service_get_healthz", "drop"),
        ("pipeline_service_create_pipeline", "late"),
        ("upload_pipeline_version", "late"),
        ("experiment_service_create_experiment", "late"),
        *((CREATE, kind) for kind in ("late", "drop", "500", "429")),
    ],
)
def test_a_lost_answer_makes_nothing_twice(kubeflow, kubedistill, recipe, operation, kind):
    kubeflow.faults = [Fault(operation, kind)]

    done = kubedistill("submit", recipe)

    assert done.status == 0, done.stderr
    assert len(kubeflow.runs) == len(kubeflow.versions) == len(kubeflow.pipelines) == 1
    assert len(kubeflow.experiments) == 1


def test_somebody_who_was_faster_is_no_failure(kubeflow, kubedistill, recipe):
    def create_at_the_same_moment(request):
        if request.operation == "pipeline_service_create_pipeline":
            kubeflow.on_request = None
            from tests.kubeflow.server import _Api

            _Api(kubeflow).pipeline_service_create_pipeline({}, {}, request.body)

    kubeflow.on_request = create_at_the_same_moment

    assert kubedistill("submit", recipe).status == 0
    assert len(kubeflow.pipelines) == len(kubeflow.runs) == 1


def test_a_promoted_student_is_status_0_with_its_figures(
    kubeflow, kubedistill, recipe, records, tmp_path
):
    records.record("run-1")
    kubeflow.run_ids = ["run-1"]
    kubeflow.story = [Moment("RUNNING", STEPS), Moment("SUCCEEDED", {"train-student": "SUCCEEDED"})]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")

    done = kubedistill("submit", recipe, "--wait", "--summary", summary, "--json")

    assert done.status == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["outcome"], told["state"]) == ("promote", "promoted", "SUCCEEDED")
    assert told["model"] == {"name": "tiny-student", "version": "1", "alias": "champion"}
    assert told["figures"]["accuracy"] == 0.93
    assert told["figures"]["latency_p95_ms"] == 0.02
    assert "train-student: running" in done.stderr
    assert "train-student: done" in done.stderr
    assert "root" not in done.stderr
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "### tiny: promoted" in text
    assert "| accuracy | 93.0" in text
    assert "version 1" in text


def test_a_rejected_student_is_status_3_with_the_reasons(
    kubeflow, kubedistill, recipe, records, tmp_path
):
    records.record("run-1", verdict="reject")
    kubeflow.run_ids = ["run-1"]

    done = kubedistill("submit", recipe, "--wait", "--summary", tmp_path / "s.md", "--json")

    assert done.status == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["exit_status"]) == ("reject", 3)
    assert told["reasons"]
    assert told["reasons"][0] in done.stderr
    assert "### tiny: rejected" in (tmp_path / "s.md").read_text()


def test_a_failed_step_is_status_1_with_its_name_and_message(
    kubeflow, kubedistill, recipe, tmp_path
):
    kubeflow.story = [
        Moment("RUNNING", {"root": "RUNNING", "train-student": "RUNNING"}),
        Moment(
            "FAILED",
            {
                "root": ("FAILED", "child failed"),
                "train-student": ("FAILED", "OOMKilled (exit code 137)"),
                "train-student-2-driver": "SUCCEEDED",
            },
        ),
    ]

    done = kubedistill("submit", recipe, "--wait", "--summary", tmp_path / "s.md", "--json")

    assert done.status == 1
    (run,) = kubeflow.runs
    told = json.loads(done.stdout)
    assert told["failed_steps"] == [
        {"step": "train-student", "message": "OOMKilled (exit code 137)"}
    ]
    assert f"failed in train-student: OOMKilled (exit code 137). Its logs: {told['url']}" in (
        done.stderr
    )
    assert (told["run_id"], told["state"], told["exit_status"]) == (run, "FAILED", 1)
    assert "**train-student** failed: OOMKilled" in (tmp_path / "s.md").read_text()


def test_a_pod_that_could_not_be_prepared_is_its_steps_failure(kubeflow, kubedistill, recipe):
    kubeflow.story = [Moment("FAILED", {"train-student-driver": "FAILED"})]

    done = kubedistill("submit", recipe, "--wait")

    assert done.status == 1
    assert "failed in train-student. Its logs" in done.stderr


@pytest.mark.parametrize(("state", "word"), [("CANCELED", "cancelled"), ("SKIPPED", "skipped")])
def test_a_run_that_others_ended_is_status_1(kubeflow, kubedistill, recipe, state, word):
    kubeflow.story = [Moment("RUNNING"), Moment("CANCELING"), Moment(state)]

    done = kubedistill("submit", recipe, "--wait")

    assert done.status == 1
    assert f"was {word}" in done.stderr


def test_a_run_that_hangs_is_given_up_on_in_time_and_goes_on(
    kubeflow, kubedistill, recipe, tmp_path
):
    kubeflow.story = [Moment("RUNNING")]

    done = kubedistill(
        "submit", recipe, "--wait", "--timeout", "1.2", "--json", "--summary", tmp_path / "s.md"
    )

    assert done.status == 1
    assert "has not ended within 1 s (--timeout)" in done.stderr
    told, (run,) = json.loads(done.stdout), kubeflow.runs.values()
    assert f"run {run.run_id} was not stopped: {told['url']}" in done.stderr
    assert told["run_id"] == run.run_id
    assert "run_service_terminate_run" not in kubeflow.operations()
    assert "### tiny: not at its end" in (tmp_path / "s.md").read_text()


def test_an_outage_while_waiting_is_told_and_survived(kubeflow, kubedistill, recipe, records):
    records.record("run-1")
    kubeflow.run_ids = ["run-1"]
    kubeflow.faults = [Fault(LOOK, "503", times=1), Fault(LOOK, "drop", times=1)]

    done = kubedistill("submit", recipe, "--wait")

    assert done.status == 0, done.stderr
    assert done.stderr.count("waiting for it") == 1
    assert "Kubeflow answers again" in done.stderr


def test_an_outage_longer_than_the_patience_is_status_1(kubeflow, kubedistill, recipe):
    kubeflow.faults = [Fault(LOOK, "503", times=-1)]

    done = kubedistill("submit", recipe, "--wait", "--patience", "1")

    assert done.status == 1
    assert "it answered 503: scripted" in done.stderr
    assert "(--patience); the run may go on" in done.stderr


@pytest.mark.parametrize(
    ("kind", "message"),
    [("401", "KFP_EXISTING_TOKEN has expired"), ("page", "whether a login stands before it")],
)
def test_a_token_that_expires_meanwhile_leaves_the_run_going(
    kubeflow, kubedistill, recipe, monkeypatch, kind, message
):
    monkeypatch.setenv("KFP_EXISTING_TOKEN", "mine")
    kubeflow.faults = [Fault(LOOK, kind, times=-1, message="expired")]

    done = kubedistill("submit", recipe, "--wait", "--json", "--timeout", "5")

    assert done.status == 2
    (run,) = kubeflow.runs
    assert message in done.stderr
    assert f"run {run} was not stopped" in done.stderr
    assert json.loads(done.stdout)["run_id"] == run


def test_a_run_that_is_deleted_meanwhile_is_status_1(kubeflow, kubedistill, recipe):
    kubeflow.story = [Moment("RUNNING")]
    kubeflow.on_request = lambda request: (
        kubeflow.runs.clear() if len(kubeflow.operations()) > 12 else None
    )

    done = kubedistill("submit", recipe, "--wait", "--timeout", "60")

    assert done.status == 1
    assert "was deleted while it was followed" in done.stderr


def test_a_verdict_that_mlflow_does_not_have_is_read_from_the_artifacts(
    kubeflow, kubedistill, recipe, records, tmp_path
):
    from tests.registration.pipeline_run_files import write_pipeline_run

    record = records.record("run-1", verdict="reject")
    run = write_pipeline_run(tmp_path / "files", "run-1", verdict="reject")
    root = tmp_path / "root"
    for task, output, text in (
        ("register-student", "registration", record.model_dump_json()),
        ("decide-promotion", "decision", run.inputs.decision.read_text()),
        ("evaluate-student", "evaluation", run.inputs.evaluation.read_text()),
    ):
        write_atomically(root / "tiny" / "run-9" / task / "5f0c" / output, text)
    kubeflow.run_ids = ["run-9"]

    done = kubedistill("submit", recipe, "--wait", "--pipeline-root", root, "--json")

    assert done.status == 3, done.stderr
    told = json.loads(done.stdout)
    assert told["reasons"]
    assert told["figures"]["accuracy"] == 0.93


def test_a_verdict_that_nobody_knows_is_status_1(kubeflow, kubedistill, recipe, records, tmp_path):
    records.record("run-1")
    kubeflow.run_ids = ["run-1"]
    other = ("--set", "registry.model=another")  # the run of its id is of another model

    done = kubedistill("submit", recipe, *other, "--wait", "--summary", tmp_path / "s.md")

    assert done.status == 1
    assert "its verdict cannot be read: MLflow at" in done.stderr
    assert "has no run of it" in done.stderr
    assert "no --pipeline-root says" in done.stderr
    assert "### tiny: its verdict is not known" in (tmp_path / "s.md").read_text()


@pytest.mark.parametrize("place", ["file:///gone", "s3://closed/runs"])
def test_where_artifacts_of_mlflow_are_closed_its_tags_tell_the_verdict(
    kubeflow, kubedistill, recipe, records, monkeypatch, place
):
    records.record("run-1", verdict="reject")
    with closing(sqlite3.connect(records.folder / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ?", (place,))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    kubeflow.run_ids = ["run-1"]

    done = kubedistill("submit", recipe, "--wait", "--json")

    assert done.status == 3, done.stderr
    assert json.loads(done.stdout)["reasons"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tracking-uri", "http://me:secret@mlflow"], "--tracking-uri holds a user or password"),
        (["--tracking-uri", "sqlite:///mlflow.db"], "need an MLflow server"),
        (["--tracking-uri", "http://me:secret@[mlflow"], "--tracking-uri is not a URL"),
        (["--set", "data.uri=rows.parquet"], "data.uri is the relative path rows.parquet"),
        (["--if-stale", "soon"], "--if-stale soon: should be a time such as 30d"),
        (["--summary", "/nowhere/s.md"], "--summary /nowhere/s.md: No such file or directory"),
    ],
)
def test_a_mistake_is_said_before_anything_is_sent(
    kubeflow, kubedistill, recipe, arguments, message
):
    done = kubedistill("submit", recipe, *arguments)

    assert done.status == 2
    assert message in done.stderr
    assert "secret@" not in done.stderr
    assert kubeflow.requests == []


def test_images_and_account_of_the_recipe_are_what_kubeflow_gets(
    kubeflow, kubedistill, recipe, tmp_path
):
    document = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**document, "resources": {"service_account": "trainer"}}))
    names = ("data-validation", "soft-labels", "training", "compression")
    images = {
        name: f"registry.example/{name}@sha256:{'0' * 64}"
        for name in (*names, "evaluation", "registration")
    }
    (tmp_path / "images.json").write_text(json.dumps(images))

    done = kubedistill("submit", recipe, "--images", tmp_path / "images.json")

    assert done.status == 0, done.stderr
    (text,) = kubeflow.texts.values()
    assert images["training"] in text
    assert "ghcr.io" not in text
    (run,) = kubeflow.runs.values()
    assert run.service_account == "trainer"
    assert "by tag" not in done.stderr


def test_ctrl_c_leaves_the_run_going_and_says_where(kubeflow, recipe, tmp_path):
    kubeflow.story = [Moment("RUNNING", {"train-student": "RUNNING"})]
    program = Path(sys.executable).with_name("kubedistill")
    process = subprocess.Popen(
        # What a shell starts in the background would not hear Ctrl-C.
        [
            "/usr/bin/env",
            "--default-signal=INT",
            program,
            "submit",
            recipe,
            "--wait",
            "--json",
            "--summary",
            "s.md",
        ],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = ""
        while "train-student: running" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        process.send_signal(signal.SIGINT)
        printed, rest = process.communicate(timeout=30)
    finally:
        process.kill()

    (run,) = kubeflow.runs
    assert process.returncode == 130
    assert (json.loads(printed)["run_id"], json.loads(printed)["exit_status"]) == (run, 130)
    assert "### tiny: not at its end" in (tmp_path / "s.md").read_text()
    assert f"run {run} goes on: {kubeflow.url}/#/runs/details/{run}" in rest
    assert "Traceback" not in rest
    assert "run_service_terminate_run" not in kubeflow.operations()
