"""What speaks for a registered version, read back and checked against what was written down."""

import tempfile
from pathlib import Path

import mlflow.artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import tags
from components.registration.champion import download
from components.registration.client import existing
from components.registration.promotion.ledger import View
from components.registration.promotion.moves import Move
from components.registration.promotion.subject import Subject
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.records import read_record
from components.shared.results import Decision

DECISION = "decision.json"
"""As a run's MLflow run has it."""
_SHOWN = 20
"""Versions that an error names."""


def registered_version(client: MlflowClient, model: str, version: str) -> ModelVersion:
    """A version of a registered model.

    Raises:
        UserError: there is none of that number.
    """
    try:
        return client.get_model_version(model, version)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        found = client.search_model_versions(f"name = '{model}'", max_results=_SHOWN)
        known = ", ".join(sorted((str(v.version) for v in found), key=int)) or "none"
        if found.token:
            known += " and earlier ones"
        raise UserError(f"{model!r} has no version {version}; it has {known}") from error


def subject_of(version: ModelVersion, view: View) -> Subject:
    """The version as a move is about it, with what the history knows; nothing is downloaded."""
    number = str(version.version)
    known = _judged(view, number)
    return Subject(
        version=number,
        run_id=version.tags.get(tags.RUN_ID),
        compared_with=known.compared_with if known else None,
        decision_digest=known.decision_digest if known else None,
        model_digest=version.tags.get(tags.STUDENT_DIGEST),
        recipe_digest=known.recipe_digest if known else None,
    )


def check_evidence(client: MlflowClient, version: ModelVersion, view: View) -> Subject:
    """Read the decision about a version, and check that it holds for the file that is registered.

    Returns:
        The version, with what speaks for it.

    Raises:
        UserError: decision or files are gone or were edited, or the decision was a rejection.
    """
    number, name = str(version.version), f"version {version.version} of {version.name!r}"
    known = _judged(view, number)
    if known is None or known.decision_digest is None:
        raise UserError(
            f"{name} cannot be promoted: the history of the model knows no decision about it"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = _decision_file(client, version, name, folder)
        if sha256_file(path) != known.decision_digest:
            raise UserError(
                f"{name} cannot be promoted: its decision.json was edited since it was registered "
                f"(its SHA-256 is {sha256_file(path)}, recorded is {known.decision_digest})"
            )
        decision = read_record(path, Decision, "decision")
    _check(name, decision, known, check_servable(client, version))
    return subject_of(version, view)


def check_servable(client: MlflowClient, version: ModelVersion) -> str | None:
    """Check that serving can load a version.

    Returns:
        SHA-256 of its ONNX file; null for a version of another tool.

    Raises:
        UserError: its files are gone, or are not those that were registered.
    """
    name, number = version.name, str(version.version)
    listed = existing(lambda: mlflow.artifacts.list_artifacts(f"models:/{name}/{number}")) or []
    files = {Path(file.path).name for file in listed}
    if "MLmodel" not in files:
        raise UserError(f"version {number} of {name!r} cannot be served: its artifacts are gone")
    if tags.STUDENT_DIGEST not in version.tags:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return download(client, name, number, Path(folder)).onnx_sha256


def _judged(view: View, version: str) -> Move | None:
    """The latest move that rests on a decision about the version."""
    about = [m for m in view.of_version(version) if m.action in {"register", "challenge"}]
    return about[-1] if about else None


def _decision_file(client: MlflowClient, version: ModelVersion, name: str, folder: Path) -> Path:
    run_id = version.run_id
    logged = existing(lambda: client.list_artifacts(run_id)) if run_id else None
    if DECISION not in {file.path for file in logged or []}:
        raise UserError(f"{name} cannot be promoted: {DECISION} of its MLflow run {run_id} is gone")
    return Path(client.download_artifacts(run_id, DECISION, str(folder)))


def _check(name: str, decision: Decision, known: Move, model_digest: str | None) -> None:
    if decision.verdict != "promote" or not all(check.passed for check in decision.checks):
        raise UserError(f"{name} cannot be promoted: its gates rejected it ({decision.summary})")
    for what, found, expected in (
        ("file that was judged", decision.student_digest, model_digest),
        ("file that was recorded", known.model_digest, model_digest),
        ("champion it was measured against", decision.champion_version, known.compared_with),
    ):
        if found != expected:
            raise UserError(
                f"{name} cannot be promoted: the {what} is {found or 'none'}, but should be "
                f"{expected or 'none'}"
            )
