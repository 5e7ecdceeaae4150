"""The registration steps, free of KFP."""

from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from components.registration.announcing import Announcer
from components.registration.champion import champion_record, download_champion
from components.registration.client import clear_errors, connect
from components.registration.locking.choosing import choose_lock
from components.registration.promotion.concluding import Conclusion, conclude
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.session import settled_view
from components.registration.promotion.subject import ChampionMoved
from components.registration.store import Store, locate
from components.registration.submission import Inputs, Submission, read_submission
from components.registration.tracking import pipeline_run, record
from components.shared import events
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import RegistrySpec, parse_section
from components.shared.results import CHAMPION_RECORD, ChampionRecord, Registration

__all__ = ["Inputs", "fetch_champion", "register_student"]


def fetch_champion(registry: dict[str, Any], tracking_uri: str, champion: Path) -> ChampionRecord:
    """Fetch the deployable champion, and write down what is known of it.

    A move that a crash left half-done is completed before.

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
            if not store.missing:
                with clear_errors(store):
                    client = connect(store)
                    record = champion_record(client, spec, _view(client, store, spec))
                    if record.version is not None:
                        download_champion(client, spec, record.version, folder)
            write_atomically(folder / CHAMPION_RECORD, record.model_dump_json(indent=2))
        events.emit("champion", model=spec.model, version=record.version, state=record.state)
    return record


def register_student(
    inputs: Inputs,
    tracking_uri: str,
    run_id: str,
    output: Path,
    *,
    git_commit: str = "",
    last_attempt: bool = True,
) -> Registration:
    """Record the run in MLflow, and promote the student where verdict and registry say so.

    Args:
        inputs: artifacts of the steps before.
        tracking_uri: MLflow tracking URI; empty for the environment's.
        run_id: identity of the pipeline run, the same at every retry.
        output: file for the :class:`Registration`.
        git_commit: the commit that the recipe is from; empty where it is not known.
        last_attempt: whether it is an error that the champion moved; else it is an outcome, and the
            student is to be measured against the new one.

    Raises:
        SystemExit: with status 2, where the inputs are not those of one run.
        ChampionMoved: another student was promoted meanwhile, at the last attempt.
        TrackingError: MLflow cannot be reached, or refused.
        ApplyFailed: the student was promoted, but KServe did not take its manifest.
    """
    with events.step("register_student"):
        submission = read_submission(inputs, run_id, git_commit)
        store = locate(tracking_uri)
        with clear_errors(store):
            client = connect(store)
            announcer = _announcer(client, store, submission.registry)
            with pipeline_run(client, store, submission) as run:
                _prepare(announcer, submission, run)
                record(client, run, submission)
                try:
                    concluded = conclude(client, store, run, submission)
                except ChampionMoved as error:
                    if last_attempt:
                        raise
                    concluded = Conclusion("champion_moved", str(error))
                registration = _registration(
                    submission, run.info.run_id, store.public_uri, concluded
                )
                client.log_dict(
                    run.info.run_id, registration.model_dump(mode="json"), "registration.json"
                )
            write_atomically(output, registration.model_dump_json(indent=2))
            if submission.registry.promotion != "dry_run":
                if concluded.outcome == "rejected":
                    announcer.announce_rejection(submission, run)
                announcer.follow_up()
        events.emit(
            "registered",
            **registration.model_dump(include={"outcome", "model", "version", "mlflow_run_id"}),
        )
    return registration


def _view(client: MlflowClient, store: Store, registry: RegistrySpec) -> View | None:
    ledger = Ledger(client, registry.model, registry.alias)
    if registry.promotion == "dry_run":
        return ledger.read()
    return settled_view(ledger, choose_lock(store, registry.model, registry.alias))


def _announcer(client: MlflowClient, store: Store, registry: RegistrySpec) -> Announcer:
    ledger = Ledger(client, registry.model, registry.alias)
    return Announcer(client, ledger, registry, store.public_uri)


def _prepare(announcer: Announcer, submission: Submission, run: Run) -> None:
    """A run that will move nothing enrols no receivers here."""
    moves = submission.decision.verdict == "promote" and submission.registry.promotion != "dry_run"
    if moves:
        announcer.prepare(run, submission.run_id)
    else:
        announcer.check(run)


def _registration(
    submission: Submission, mlflow_run_id: str, tracking_uri: str, concluded: Conclusion
) -> Registration:
    return Registration(
        verdict=submission.decision.verdict,
        outcome=concluded.outcome,
        summary=concluded.summary,
        run_id=submission.run_id,
        mlflow_run_id=mlflow_run_id,
        tracking_uri=tracking_uri,
        model=submission.registry.model,
        version=concluded.version,
        alias=concluded.alias,
        former_version=concluded.former,
        record_digest=concluded.record_digest,
    )
