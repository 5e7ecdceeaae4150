"""A registered version with what its run kept of it."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient
from pydantic import BaseModel

from components.registration import tags
from components.registration.client import existing
from components.registration.comparing.records import ComparedVersion
from components.registration.figures import ROWS_PARAMETER
from components.registration.promotion.registered import Registered
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.records import read_record
from components.shared.results import Decision, Evaluation

RecordT = TypeVar("RecordT", bound=BaseModel)

_RECIPE, _EVALUATION, _DECISION = "recipe.yaml", "evaluation.json", "decision.json"
_DIGESTS = {_EVALUATION: tags.EVALUATION_DIGEST, _DECISION: tags.DECISION_DIGEST}


@dataclass(frozen=True)
class Side:
    """One of two versions that are compared."""

    record: ComparedVersion
    evaluation: Evaluation
    decision: Decision
    recipe: dict[str, Any]
    notes: list[str]
    """What is not as it was when the version was registered."""


def read_side(model: Registered, given: str) -> Side:
    """Read a version, and recipe, evaluation and decision of its run.

    Args:
        model: the registered model.
        given: number of the version, or an alias that is on it.

    Raises:
        UserError: there is no such version or alias, or its run or one of those files is gone.
    """
    version = model.version(_number(model, given))
    name = f"version {version.version} of {version.name!r}"
    run = _run(model.client, version, name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _download(model.client, run, folder, name)
        evaluation = _read(folder / _EVALUATION, Evaluation, name)
        decision = _read(folder / _DECISION, Decision, name)
        recipe = _read_recipe(folder / _RECIPE, name)
        notes = [
            f"{file} of {name} is not the one that it was registered with."
            for file, tag in _DIGESTS.items()
            if version.tags.get(tag, found := sha256_file(folder / file)) != found
        ]
    aliases = sorted(a for a, v in model.view.aliases.items() if v == str(version.version))
    record = _record(version, aliases, run, evaluation, decision)
    return Side(record, evaluation, decision, recipe, notes)


def _number(model: Registered, given: str) -> str:
    """The number of a version that is named by number or alias."""
    if given.isdigit():
        return given
    alias = given.removeprefix("@")
    found = model.view.aliases.get(alias)
    if found is None:
        known = ", ".join(f"{a} ({v})" for a, v in sorted(model.view.aliases.items())) or "none"
        raise UserError(f"{model.registry.model!r} has no alias {alias!r}; it has {known}")
    return found


def _run(client: MlflowClient, version: ModelVersion, name: str) -> Run:
    if not version.run_id:
        raise UserError(f"{name} cannot be compared: it was registered without an MLflow run")
    found = existing(lambda: client.get_run(version.run_id))
    if found is None:
        raise UserError(f"{name} cannot be compared: its MLflow run {version.run_id} is gone")
    return found


def _download(client: MlflowClient, run: Run, folder: Path, name: str) -> None:
    present = {file.path for file in client.list_artifacts(run.info.run_id)}
    for file in (_RECIPE, _EVALUATION, _DECISION):
        if file not in present:
            raise UserError(
                f"{name} cannot be compared: its MLflow run {run.info.run_id} has no {file} (any "
                "more)"
            )
        client.download_artifacts(run.info.run_id, file, str(folder))


def _read(path: Path, model: type[RecordT], name: str) -> RecordT:
    try:
        return read_record(path, model, path.stem)
    except UserError as error:
        problem = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{name} cannot be compared: {path.name}: {problem}") from error


def _read_recipe(path: Path, name: str) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        recipe = None
    if not isinstance(recipe, dict):
        raise UserError(f"{name} cannot be compared: {path.name}: not a recipe")
    return recipe


def _record(
    version: ModelVersion,
    aliases: list[str],
    run: Run,
    evaluation: Evaluation,
    decision: Decision,
) -> ComparedVersion:
    rows = {
        name.removeprefix(ROWS_PARAMETER): int(value)
        for name, value in run.data.params.items()
        if name.startswith(ROWS_PARAMETER)
    }
    return ComparedVersion(
        version=str(version.version),
        aliases=aliases,
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        run_id=version.tags.get(tags.RUN_ID, ""),
        mlflow_run_id=run.info.run_id,
        candidate=decision.candidate,
        verdict=decision.verdict,
        summary=decision.summary,
        measured_against=decision.champion_version,
        dataset_digest=decision.dataset_digest,
        rows=rows | {"test": evaluation.rows},
        classes=evaluation.classes,
        teacher_digest=version.tags.get(tags.TEACHER_DIGEST),
        student_digest=decision.student_digest,
        git_commit=version.tags.get(tags.GIT_COMMIT) or None,
    )
