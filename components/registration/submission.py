"""What is to be recorded: read, and checked to belong together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.registration import tags
from components.shared.bundle import ModelBundle, read_bundle
from components.shared.dataset import Dataset
from components.shared.deployable import Deployable, read_deployable
from components.shared.errors import UserError
from components.shared.recipe import Recipe, RegistrySpec
from components.shared.records import read_record
from components.shared.results import Decision, Evaluation

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,249}")


@dataclass(frozen=True)
class Inputs:
    """Paths of the artifacts that the registration step takes."""

    recipe: Path
    dataset: Path
    decision: Path
    evaluation: Path
    report: Path
    candidates: Path
    """Folder with a deployable folder for each form of the student."""
    bundles: Mapping[str, Path]
    """Model bundle of each trained arm: teacher, student, hard_label, pseudo_label."""


@dataclass(frozen=True)
class Submission:
    """One pipeline run, as it is recorded."""

    run_id: str
    recipe: Recipe
    """As it was run."""
    decision: Decision
    evaluation: Evaluation
    deployable: Deployable
    bundles: Mapping[str, ModelBundle]
    example: npt.NDArray[np.float32]
    """One real test row, shape (1, \\*input shape)."""
    inputs: Inputs

    @property
    def registry(self) -> RegistrySpec:
        """Where it is recorded."""
        return self.recipe.registry

    @property
    def student(self) -> Path:
        """Deployable folder of the candidate that was chosen (or came closest)."""
        return self.inputs.candidates / self.decision.candidate

    @property
    def tags(self) -> dict[str, str]:
        """Identity of the run and of all that went into it."""
        return {
            tags.RUN_ID: self.run_id,
            tags.VERDICT: self.decision.verdict,
            tags.DATASET_DIGEST: self.decision.dataset_digest,
            tags.TEACHER_DIGEST: self.bundles["teacher"].digest,
            tags.STUDENT_DIGEST: self.decision.student_digest,
            tags.CANDIDATE: self.decision.candidate,
            tags.FAILED_GATES: ", ".join(
                check.gate for check in self.decision.checks if not check.passed
            ),
        }


def read_submission(inputs: Inputs, run_id: str) -> Submission:
    """Read all inputs, and refuse those that are not of one run.

    Raises:
        UserError: an input is missing or damaged, the student's file is not the one that was
            measured and judged, or the parts come from different data, teachers or champions.
    """
    if not inputs.report.is_file():
        raise UserError(f"{inputs.report}: the report is not there")
    if not _RUN_ID.fullmatch(run_id):
        raise UserError(f"run_id {run_id!r}: should be letters, digits and any of . _ : -")
    decision = read_record(inputs.decision, Decision, "decision")
    data = Dataset.open(inputs.dataset)
    submission = Submission(
        run_id=run_id,
        recipe=read_record(inputs.recipe, Recipe, "recipe"),
        decision=decision,
        evaluation=read_record(inputs.evaluation, Evaluation, "evaluation"),
        deployable=read_deployable(inputs.candidates / decision.candidate),
        bundles={arm: read_bundle(folder) for arm, folder in inputs.bundles.items()},
        example=next(data.batches("test", rows=1)).inputs,
        inputs=inputs,
    )
    _check_student(submission)
    _check_same(submission, data.manifest.digest)
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
        ("teacher of the student", deployable.teacher_digest, bundles["teacher"].digest),
    )
    for what, found, expected in pairs:
        if found != expected:
            raise UserError(
                f"the inputs are not of one run: the {what} is {found}, expected {expected}"
            )
