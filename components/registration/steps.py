"""The registration steps, free of KFP."""

import json
from pathlib import Path
from typing import Any

from components.registration.champion import champion_version, download
from components.registration.client import clear_errors, connect
from components.registration.registry import promote
from components.registration.store import locate
from components.registration.submission import Inputs, Submission, read_submission
from components.registration.tracking import pipeline_run, record
from components.shared import events
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.results import Registration

__all__ = ["Inputs", "fetch_champion", "register_student"]


def fetch_champion(registry: dict[str, Any], tracking_uri: str, champion: Path) -> str:
    """Fetch the deployable champion.

    Args:
        registry: the recipe's section ``registry``.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        champion: folder to write; without a model in it where there is no champion.

    Returns:
        The champion's version, or an empty string.

    Raises:
        SystemExit: with status 2, where the champion's files are gone or damaged.
    """
    with events.step("fetch_champion"):
        spec = parse_section(RegistrySpec, registry, "registry")
        store = locate(tracking_uri)
        version = None
        with new_directory(champion) as folder:
            # A database that is not there has no champion, and looking must not make one.
            if store.database is None or store.database.exists():
                with clear_errors(store):
                    client = connect(store)
                    version = champion_version(client, spec)
                    if version is not None:
                        download(client, spec, version, folder)
            # An object store has no empty folders.
            write_atomically(folder / "champion.json", json.dumps({"version": version}))
        events.emit("champion", model=spec.model, version=version)
    return version or ""


def register_student(
    inputs: Inputs,
    recipe: dict[str, Any],
    registry: dict[str, Any],
    tracking_uri: str,
    run_id: str,
    output: Path,
) -> Registration:
    """Record the run in MLflow, and promote the student where the verdict says so.

    Args:
        inputs: artifacts of the steps before.
        recipe: the whole recipe.
        registry: the recipe's section ``registry``.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        run_id: identity of the pipeline run, the same at every retry.
        output: file for the :class:`Registration`.

    Raises:
        SystemExit: with status 2, where the inputs are not those of one run.
        ChampionMoved: another student was promoted meanwhile.
        TrackingError: MLflow cannot be reached, or refused.
    """
    with events.step("register_student"):
        submission = read_submission(inputs, recipe, registry, run_id)
        store = locate(tracking_uri)
        with clear_errors(store):
            client = connect(store)
            with pipeline_run(client, store, submission) as run:
                record(client, run, submission)
                version = None
                if submission.decision.verdict == "promote":
                    version = promote(client, store, run, submission)
                registration = _registration(submission, run.info.run_id, store.public_uri, version)
                client.log_dict(
                    run.info.run_id, registration.model_dump(mode="json"), "registration.json"
                )
        write_atomically(output, registration.model_dump_json(indent=2))
        events.emit(
            "registered",
            **registration.model_dump(include={"verdict", "model", "version", "mlflow_run_id"}),
        )
    return registration


def _registration(
    submission: Submission, mlflow_run_id: str, tracking_uri: str, version: str | None
) -> Registration:
    promoted = version is not None
    return Registration(
        verdict=submission.decision.verdict,
        run_id=submission.run_id,
        mlflow_run_id=mlflow_run_id,
        tracking_uri=tracking_uri,
        model=submission.registry.model,
        version=version,
        alias=submission.registry.alias if promoted else None,
        former_version=submission.decision.champion_version if promoted else None,
    )
