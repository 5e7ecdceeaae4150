"""What a second attempt finds of the first one, and what a version carries."""

from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import LoggedModel, LoggedModelStatus, Run
from mlflow.tracking import MlflowClient
from pipeline_run_files import REGISTRY, ROWS, PipelineRun

from components.registration import tags
from components.registration.card import model_card, version_description
from components.registration.logged_model import logged_model
from components.registration.model_version import new_version
from components.registration.store import locate
from components.registration.submission import Submission, read_submission
from components.registration.tracking import pipeline_run, record
from components.shared.errors import UserError
from components.shared.files import sha256_bytes

MODEL = REGISTRY["model"]


class Recorder:
    """The parts of a registration, one by one."""

    def __init__(self, tracking, run: PipelineRun) -> None:
        self.client: MlflowClient = tracking.client
        self.store = locate(tracking.uri)
        self.written = run
        self.submission = read_submission(run.inputs, run.run_id, "0123abc")

    def run(self, submission: Submission | None = None) -> Run:
        with pipeline_run(self.client, self.store, submission or self.submission) as run:
            record(self.client, run, submission or self.submission)
        return self.client.get_run(run.info.run_id)

    def upload(self) -> LoggedModel:
        return logged_model(self.client, self.run(), self.submission)

    def register(self, submission: Submission | None = None) -> str:
        submission = submission or self.submission
        if not self.client.search_registered_models():
            self.client.create_registered_model(MODEL)
        model = logged_model(self.client, self.run(submission), submission)
        return new_version(self.client, self.run(submission), model, submission)

    def make_run(self, start_time: int) -> Run:
        """As an attempt does whose answer got lost."""
        experiment = self.run().info.experiment_id
        return self.client.create_run(
            experiment, start_time=start_time, tags={tags.RUN_ID: self.written.run_id}
        )

    def make_model(self) -> LoggedModel:
        run = self.run()
        return self.client.create_logged_model(
            run.info.experiment_id, "student", run.info.run_id, tags=self.submission.identity
        )

    def files(self, model: LoggedModel) -> Path:
        return Path(model.artifact_location.removeprefix("file://"))


@pytest.fixture
def recorder(tracking) -> Recorder:
    return Recorder(tracking, tracking.write("run-1"))


def test_upload_that_was_completed_is_used_again(recorder):
    first = recorder.upload()
    before = (recorder.files(first) / "MLmodel").read_bytes()

    second = recorder.upload()

    assert second.model_id == first.model_id
    assert (recorder.files(second) / "MLmodel").read_bytes() == before


def test_upload_that_was_killed_is_done_again_in_its_place(recorder):
    half = recorder.make_model()
    folder = recorder.files(half)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(recorder.written.onnx[:10])

    model = recorder.upload()

    assert model.model_id == half.model_id
    assert model.status == LoggedModelStatus.READY
    assert (folder / "model.onnx").read_bytes() == recorder.written.onnx


@pytest.mark.parametrize("file", ["model.onnx", "deployable.json", "MLmodel"])
def test_upload_that_has_lost_a_file_is_done_again(recorder, file):
    first = recorder.upload()
    (recorder.files(first) / file).unlink()

    second = recorder.upload()

    assert second.model_id == first.model_id
    assert (recorder.files(second) / file).exists()


def test_model_that_is_ready_without_our_mark_is_uploaded_again(recorder):
    other = recorder.make_model()
    recorder.client.finalize_logged_model(other.model_id, "READY")

    model = recorder.upload()

    assert model.model_id == other.model_id
    assert (recorder.files(model) / "model.onnx").read_bytes() == recorder.written.onnx


def test_of_two_logged_models_the_older_counts(recorder):
    older, newer = recorder.make_model(), recorder.make_model()
    assert (older.creation_timestamp, older.model_id) != (newer.creation_timestamp, newer.model_id)

    expected = min(older, newer, key=lambda m: (m.creation_timestamp, m.model_id))
    assert recorder.upload().model_id == expected.model_id


def test_of_two_runs_without_figures_the_older_counts(tracking):
    recorder = Recorder(tracking, tracking.write("run-1"))
    experiment = tracking.client.create_experiment("kubedistill", (tracking.folder / "a").as_uri())
    made = [
        tracking.client.create_run(experiment, start_time, {tags.RUN_ID: "run-1"})
        for start_time in (2000, 1000, 3000)
    ]

    assert recorder.run().info.run_id == made[1].info.run_id


def test_run_that_turns_up_late_does_not_replace_the_one_with_figures(recorder):
    first = recorder.run()
    late = recorder.make_run(start_time=1000)

    assert recorder.run().info.run_id == first.info.run_id != late.info.run_id


def test_of_two_versions_the_older_counts_and_the_other_is_removed(recorder):
    recorder.register()
    model = recorder.upload()
    for _ in range(2):
        recorder.client.create_model_version(
            MODEL, f"models:/{model.model_id}", tags=recorder.submission.tags
        )
    recorder.client.set_registered_model_alias(MODEL, "kept", "3")

    assert recorder.register() == "1"

    versions = recorder.client.search_model_versions(f"name = '{MODEL}'")
    assert sorted(int(version.version) for version in versions) == [1, 3]


def test_version_of_another_run_is_not_taken_for_its_own(tracking):
    for run_id, seed in (("run-1", 1), ("run-2", 1), ("run-1-again", 2)):
        Recorder(tracking, tracking.write(run_id, seed=seed)).register()

    versions = tracking.client.search_model_versions(f"name = '{MODEL}'")
    assert len(versions) == 3


def test_version_carries_what_it_was_made_from_and_its_card(recorder):
    version = recorder.client.get_model_version(MODEL, recorder.register())

    submission = recorder.submission
    assert version.tags == {
        tags.RUN_ID: "run-1",
        tags.VERDICT: "promote",
        tags.DATASET_DIGEST: submission.data.digest,
        tags.TEACHER_DIGEST: submission.bundles["teacher"].digest,
        tags.STUDENT_DIGEST: sha256_bytes(recorder.written.onnx),
        tags.CANDIDATE: submission.decision.candidate,
        tags.FAILED_GATES: "",
        tags.PARENT_VERSION: "",
        tags.GIT_COMMIT: "0123abc",
        tags.DECISION_DIGEST: sha256_bytes(recorder.written.inputs.decision.read_bytes()),
        tags.EVALUATION_DIGEST: sha256_bytes(recorder.written.inputs.evaluation.read_bytes()),
    }
    assert version.description == version_description(submission)


def test_run_keeps_the_judged_files_byte_by_byte_and_the_whole_card(recorder, tmp_path):
    run = recorder.run()

    def kept(name: str) -> bytes:
        path = recorder.client.download_artifacts(run.info.run_id, name, str(tmp_path))
        return Path(path).read_bytes()

    inputs = recorder.written.inputs
    assert kept("decision.json") == inputs.decision.read_bytes()
    assert kept("evaluation.json") == inputs.evaluation.read_bytes()
    assert kept("model-card.md").decode() == model_card(recorder.submission)
    assert run.data.tags[tags.DECISION_DIGEST] == sha256_bytes(kept("decision.json"))


def test_student_that_is_judged_anew_keeps_its_version_and_says_so(recorder):
    recorder.register()
    decision = recorder.submission.decision.model_copy(
        update={"champion_version": "7", "summary": "Judged again."}
    )
    again = replace(recorder.submission, decision=decision, decision_digest="d" * 64)

    assert recorder.register(again) == "1"

    version = recorder.client.get_model_version(MODEL, "1")
    assert version.tags[tags.PARENT_VERSION] == "7"
    assert version.tags[tags.DECISION_DIGEST] == "d" * 64
    assert "Judged again." in version.description


def test_registered_model_loads_with_the_libraries_that_it_pins(recorder):
    model = recorder.upload()

    folder = recorder.files(model)
    pinned = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in pinned] == [
        "mlflow",
        "numpy",
        "onnx",
        "onnxruntime",
    ]
    assert all(line.partition("==")[2] for line in pinned)
    loaded = mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_array_equal(
        loaded.predict(ROWS)["probabilities"], recorder.written.probabilities(ROWS)
    )


def test_git_commit_that_is_none_is_refused(tracking):
    run = tracking.write("run-1")

    with pytest.raises(UserError, match="git_commit"):
        read_submission(run.inputs, run.run_id, "main; rm -r x")
