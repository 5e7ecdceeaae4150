"""What is to be recorded: read, and checked to belong together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from components.registration import tags
from components.shared.bundle import ModelBundle
from components.shared.deployable import Deployable, read_deployable, read_example
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.lineage import Stage, after
from components.shared.manifest import DatasetManifest, read_manifest
from components.shared.recipe import Recipe, RegistrySpec
from components.shared.records import read_record
from components.shared.results import Decision, Evaluation
from components.shared.teacher import TeacherRecord, read_teacher

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,249}")
_GIT_COMMIT = re.compile(r"[A-Za-z0-9._/+-]{0,100}")
"""A hash, and what CI puts around one, such as ``-dirty``."""


@dataclass(frozen=True)
class Inputs:
    """Paths of the artifacts that the registration step takes."""

    recipe: Path
    dataset: Path
    validation: Path
    """Folder with the data profile."""
    decision: Path
    evaluation: Path
    report: Path
    candidates: Path
    """Folder with a deployable folder for each form of the student."""
    bundles: Mapping[str, Path]
    """Model bundle of student, hard_label and pseudo_label, and the artifact of the teacher."""


@dataclass(frozen=True)
class Submission:
    """One pipeline run, as it is recorded."""

    run_id: str
    git_commit: str
    """Of the code and the recipe that the run was started from; empty where it is not known."""
    recipe: Recipe
    """As it was run."""
    data: DatasetManifest
    decision: Decision
    decision_digest: str
    """SHA-256 of the file, which is uploaded as it is."""
    evaluation: Evaluation
    evaluation_digest: str
    """SHA-256 of the file, which is uploaded as it is."""
    deployable: Deployable
    bundles: Mapping[str, ModelBundle]
    """Those that are bundles."""
    teacher: ModelBundle | TeacherRecord
    example: npt.NDArray[np.float32]
    """One real test row, shape (1, \\*input shape)."""
    inputs: Inputs

    @property
    def registry(self) -> RegistrySpec:
        """Where it is recorded."""
        return self.recipe.registry

    @property
    def assistants(self) -> list[Stage]:
        """Who learned and labelled between the teacher and the student, first to last."""
        return after(self.teacher.digest, self.bundles["student"].assistants)

    @property
    def recipe_yaml(self) -> str:
        """The recipe, as it is uploaded."""
        return yaml.safe_dump(
            self.recipe.model_dump(mode="json", exclude_none=True), sort_keys=False
        )

    @property
    def student(self) -> Path:
        """Deployable folder of the candidate that was chosen (or came closest)."""
        return self.inputs.candidates / self.decision.candidate

    @property
    def identity(self) -> dict[str, str]:
        """Tags of the student and of all that went into it; no judgement changes them."""
        return {
            tags.RUN_ID: self.run_id,
            tags.DATASET_DIGEST: self.decision.dataset_digest,
            tags.TEACHER_DIGEST: self.teacher.digest,
            tags.STUDENT_DIGEST: self.decision.student_digest,
            tags.CANDIDATE: self.decision.candidate,
            tags.GIT_COMMIT: self.git_commit,
        }

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run and its version: the identity, and how it was judged."""
        return self.identity | {
            tags.VERDICT: self.decision.verdict,
            tags.FAILED_GATES: ", ".join(
                check.gate for check in self.decision.checks if not check.passed
            ),
            tags.PARENT_VERSION: self.decision.champion_version or "",
            tags.DECISION_DIGEST: self.decision_digest,
            tags.EVALUATION_DIGEST: self.evaluation_digest,
        }


def read_submission(inputs: Inputs, run_id: str, git_commit: str = "") -> Submission:
    """Read all inputs, and refuse those that are not of one run.

    Args:
        inputs: where they are.
        run_id: identity of the pipeline run, the same at every retry.
        git_commit: what the run was started from; empty where it is not known.

    Raises:
        UserError: an input is missing or damaged, the student's file is not the one that was
            measured and judged, or the parts come from different data, teachers or champions.
    """
    if not inputs.report.is_file():
        raise UserError(f"{inputs.report}: the report is not there")
    if not _RUN_ID.fullmatch(run_id):
        raise UserError(f"run_id {run_id!r}: should be letters, digits and any of . _ : -")
    if not _GIT_COMMIT.fullmatch(git_commit):
        raise UserError(f"git_commit {git_commit!r}: should be the hash of a commit")
    decision = read_record(inputs.decision, Decision, "decision")
    data = read_manifest(inputs.dataset)
    described = {arm: read_teacher(folder) for arm, folder in inputs.bundles.items()}
    submission = Submission(
        run_id=run_id,
        git_commit=git_commit,
        recipe=read_record(inputs.recipe, Recipe, "recipe"),
        data=data,
        decision=decision,
        decision_digest=sha256_file(inputs.decision),
        evaluation=read_record(inputs.evaluation, Evaluation, "evaluation"),
        evaluation_digest=sha256_file(inputs.evaluation),
        deployable=read_deployable(inputs.candidates / decision.candidate),
        bundles={arm: one for arm, one in described.items() if isinstance(one, ModelBundle)},
        teacher=described["teacher"],
        example=read_example(inputs.candidates / decision.candidate),
        inputs=inputs,
    )
    _check_student(submission)
    _check_same(submission, data.digest)
    return submission


def _check_student(submission: Submission) -> None:
    """Only the file that was measured may be recorded as what was measured."""
    digest = submission.deployable.onnx_sha256
    decision, evaluation = submission.decision, submission.evaluation
    if decision.verdict == "promote" and not evaluation.candidate(decision.candidate):
        raise UserError(f"the decision promotes {decision.candidate!r}, which was not measured")
    measured = evaluation.measured(decision.candidate).model_digest
    for what, expected in (("measured", measured), ("judged", decision.student_digest)):
        if digest != expected:
            raise UserError(
                f"{submission.student}: not the student that was {what}: its SHA-256 is "
                f"{digest}, that one's is {expected}; run the evaluation on this file"
            )


def _check_same(submission: Submission, dataset_digest: str) -> None:
    decision, evaluation = submission.decision, submission.evaluation
    deployable, bundles = submission.deployable, submission.bundles
    pairs = (
        ("data set of the decision", decision.dataset_digest, dataset_digest),
        ("data set of the evaluation", evaluation.dataset_digest, dataset_digest),
        ("data set of the student", deployable.dataset_digest, dataset_digest),
        ("champion of the evaluation", evaluation.champion_version, decision.champion_version),
        ("bundle of the student", deployable.bundle_digest, bundles["student"].digest),
        ("teacher of the student", deployable.teacher_digest, submission.teacher.digest),
    )
    for what, found, expected in pairs:
        if found != expected:
            raise UserError(
                f"the inputs are not of one run: the {what} is {found}, expected {expected}"
            )
