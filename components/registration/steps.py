"""The registration steps, free of KFP."""

from pathlib import Path
from typing import Any

from components.registration.champion import champion_record, download
from components.registration.client import clear_errors, connect
from components.registration.registry import promote
from components.registration.store import locate
from components.registration.submission import Inputs, Submission, read_submission
from components.registration.tracking import pipeline_run, record
from components.shared import events
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.results import CHAMPION_RECORD, ChampionRecord, Registration

__all__ = ["Inputs", "fetch_champion", "register_student"]


def fetch_champion(registry: dict[str, Any], tracking_uri: str, champion: Path) -> ChampionRecord:
    """Fetch the deployable champion, and write down what is known of it.

    Args:
        registry: the recipe's section ``registry``.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        champion: folder to write; without a model in it where there is no champion.

    Returns:
        What was written to ``champion.json``.

    Raises:
        SystemExit: with status 2, where the champion's files are gone or damaged.
    """
    with events.step("fetch_champion"):
        spec = parse_section(RegistrySpec, registry, "registry")
        store = locate(tracking_uri)
        record = ChampionRecord(state="first_model", version=None)
        with new_directory(champion) as folder:
            # A database that is not there has no champion, and looking must not make one.
            if store.database is None or store.database.exists():
                with clear_errors(store):
                    client = connect(store)
                    record = champion_record(client, spec)
                    if record.version is not None:
                        download(client, spec, record.version, folder)
            write_atomically(folder / CHAMPION_RECORD, record.model_dump_json(indent=2))
        events.emit("champion", model=spec.model, version=record.version, state=record.state)
    return record


def register_student(inputs: Inputs, tracking_uri: str, run_id: str, output: Path) -> Registration:
    """Record the run in MLflow, and promote the student where the verdict says so.

    Args:
        inputs: artifacts of the steps before.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        run_id: identity of the pipeline run, the same at every retry.
        output: file for the :class:`Registration`.

    Raises:
        SystemExit: with status 2, where the inputs are not those of one run.
        ChampionMoved: another student was promoted meanwhile.
        TrackingError: MLflow cannot be reached, or refused.
    """
    with events.step("register_student"):
        submission = read_submission(inputs, run_id)
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
