"""A run whose teacher was not made here: what MLflow and the model card show of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pipeline_run_files import CLASSES, IMAGE, RECIPE, PipelineRun, write_pipeline_run

from components.registration import figures, tags
from components.registration.card import model_card
from components.registration.submission import Submission, read_submission
from components.shared.bundle import BUNDLE
from components.shared.deployable import DEPLOYABLE
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.teacher import (
    TEACHER,
    EndpointLimits,
    EndpointModel,
    EndpointTensor,
    TeacherRecord,
)

ENDPOINT = {"source": "endpoint", "url": "https://teacher.example", "model": "big|one"}
RECORD = TeacherRecord(
    source="https://teacher.example/v2/models/big%7Cone",
    classes=CLASSES,
    input=IMAGE,
    preprocessing=None,
    model=EndpointModel(
        url="https://teacher.example",
        model="big|one",
        version=None,
        input=EndpointTensor(name="pixels", datatype="FP32", shape=[-1, 4]),
        output=EndpointTensor(name="scores", datatype="FP32", shape=[-1, 3]),
        metadata_sha256="7" * 64,
        gives="probabilities",
        order=CLASSES,
    ),
    limits=EndpointLimits(
        rows_per_request=256,
        concurrency=2,
        max_rows_per_s=None,
        timeout_s=30,
        retry_for_s=300,
        budget=None,
        token_env=None,
    ),
)


def change(path: Path, **fields: Any) -> None:
    write_atomically(path, json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def run(tmp_path: Path) -> PipelineRun:
    """A run of which the teacher is an endpoint."""
    made = write_pipeline_run(tmp_path, "run-1", recipe={**RECIPE, "teacher": ENDPOINT})
    (tmp_path / "teacher" / BUNDLE).unlink()
    write_atomically(tmp_path / "teacher" / TEACHER, RECORD.model_dump_json())
    change(made.student / DEPLOYABLE, teacher_digest=RECORD.digest)
    evaluation = json.loads((tmp_path / "evaluation").read_text())
    teacher = evaluation["arms"].pop("teacher")
    for name in (
        "parameters",
        "size_bytes",
        "latency",
        "footprint",
        "model_digest",
        "bundle_digest",
    ):
        teacher.pop(name)
    teacher |= {
        "described": RECORD.in_words,
        "teacher_digest": RECORD.digest,
        "predictions_digest": "9" * 64,
    }
    change(tmp_path / "evaluation", arms=evaluation["arms"], served_teacher=teacher)
    return made


@pytest.fixture
def submission(run: PipelineRun) -> Submission:
    return read_submission(run.inputs, run.run_id)


def test_the_version_is_tagged_with_the_teachers_digest(submission: Submission) -> None:
    assert submission.tags[tags.TEACHER_DIGEST] == RECORD.digest
    assert set(submission.bundles) == {"student", "hard_label", "pseudo_label"}


def test_metrics_have_the_teachers_quality_and_nothing_that_was_not_measured(
    submission: Submission,
) -> None:
    found = figures.metrics(submission.evaluation, submission.decision)
    of_teacher = {name for name in found if name.startswith("teacher.")}
    assert "teacher.accuracy" in of_teacher
    assert not any("latency" in name or "bytes" in name for name in of_teacher)


def test_the_card_says_what_the_teacher_is_and_what_is_not_known(submission: Submission) -> None:
    card = model_card(submission).replace("\u00a0", " ")
    assert "distilled from the model big&#124;one behind https://teacher.example" in card
    assert "this run did not train it" in card
    row = next(line for line in card.splitlines() if re.match(r"\| *teacher *\|", line))
    assert "95.0 %" in row
    assert "not measured: not run here" in row
    assert f"SHA-256 of the teacher's description:** `{RECORD.digest}`" in card


def test_a_student_of_another_teacher_is_refused(run: PipelineRun) -> None:
    change(run.student / DEPLOYABLE, teacher_digest="0" * 64)
    with pytest.raises(UserError, match="the teacher of the student is 000"):
        read_submission(run.inputs, run.run_id)
