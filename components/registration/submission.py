"""What is to be recorded: read, and checked to belong together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from components.registration import tags
from components.shared.bundle import ModelBundle, read_bundle
from components.shared.dataset import Dataset
from components.shared.deployable import Deployable, read_deployable
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.results import Decision, Evaluation

ResultT = TypeVar("ResultT", bound=BaseModel)

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,249}")


@dataclass(frozen=True)
class Inputs:
    """Paths of the artifacts that the registration step takes."""

    dataset: Path
    decision: Path
    evaluation: Path
    report: Path
    student: Path
    """Deployable folder."""
    bundles: Mapping[str, Path]
    """Model bundle of each trained arm: teacher, student, hard_label, pseudo_label."""


@dataclass(frozen=True)
class Submission:
    """One pipeline run, as it is recorded."""

    run_id: str
    recipe: Mapping[str, Any]
    """The recipe's sections as they were run."""
    registry: RegistrySpec
    decision: Decision
    evaluation: Evaluation
    deployable: Deployable
    bundles: Mapping[str, ModelBundle]
    example: npt.NDArray[np.float32]
    """One real test row, shape (1, \\*input shape)."""
    inputs: Inputs

    @property
    def tags(self) -> dict[str, str]:
        """Identity of the run and of all that went into it."""
        return {
            tags.RUN_ID: self.run_id,
            tags.VERDICT: self.decision.verdict,
            tags.DATASET_DIGEST: self.decision.dataset_digest,
            tags.TEACHER_DIGEST: self.bundles["teacher"].digest,
            tags.STUDENT_DIGEST: self.decision.student_digest,
        }


def read_submission(
    inputs: Inputs, recipe: dict[str, Any], registry: dict[str, Any], run_id: str
) -> Submission:
    """Read all inputs, and refuse those that are not of one run.

    Raises:
        UserError: an input is missing or damaged, the student's file is not the one that was
            measured and judged, or the parts come from different data, teachers or champions.
    """
    if not inputs.report.is_file():
        raise UserError(f"{inputs.report}: the report is not there")
    if not _RUN_ID.fullmatch(run_id):
        raise UserError(f"run_id {run_id!r}: should be letters, digits and any of . _ : -")
    decision = _read_result(Decision, inputs.decision)
    data = Dataset.open(inputs.dataset)
    submission = Submission(
        run_id=run_id,
        recipe=_whole_numbers(recipe),
        registry=parse_section(RegistrySpec, registry, "registry"),
        decision=decision,
        evaluation=_read_result(Evaluation, inputs.evaluation),
        deployable=read_deployable(inputs.student),
        bundles={arm: read_bundle(folder) for arm, folder in inputs.bundles.items()},
        example=data.load("test").inputs[:1],
        inputs=inputs,
    )
    _check_student(submission)
    _check_same(submission, data.manifest.digest)
    return submission


def _whole_numbers(value: Any) -> Any:
    """The same JSON value with 400 for 400.0, which is what KFP makes of it."""
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_result(model: type[ResultT], path: Path) -> ResultT:
    name = model.__name__.lower()
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: the {name} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise UserError(f"{path}: not a valid {name}: {error}") from error


def _check_student(submission: Submission) -> None:
    """Only the file that was measured may be recorded as what was measured."""
    digest = submission.deployable.onnx_sha256
    measured = submission.evaluation.arms["student"].model_digest
    for what, expected in (("measured", measured), ("judged", submission.decision.student_digest)):
        if digest != expected:
            raise UserError(
                f"{submission.inputs.student}: not the student that was {what}: its SHA-256 is "
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
