"""What a run came to: from MLflow, where its last step recorded it, or from its artifacts.

Kubeflow's API tells states of steps, but neither what they returned nor where their artifacts are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from components.shared.errors import StepFailed, StorageFailed, UserError
from components.shared.recipe import RegistrySpec
from components.shared.results import Decision, Evaluation, Outcome, Registration, Verdict
from components.shared.storage import open_storage

_FIGURES = (
    "accuracy",
    "accuracy_lower",
    "accuracy_upper",
    "latency_p50_ms",
    "latency_p95_ms",
    "size_bytes",
    "parameters",
)
_OVERALL = ("retention", "gap_recovered")


@dataclass(frozen=True)
class Judged:
    """The end of a run, as its last step recorded it."""

    verdict: Verdict
    outcome: Outcome | None
    """Null where only the verdict could be read."""
    summary: str
    """One sentence."""
    reasons: list[str]
    """Of a rejection."""
    model: str
    version: str | None
    alias: str | None
    figures: Mapping[str, float]
    """Of the form of the student that was chosen or came closest."""
    mlflow_run_id: str | None
    source: str
    """Where it was read."""


class Unknown(StepFailed):
    """Nobody knows the verdict."""


def read_verdict(
    registry: RegistrySpec, run_id: str, tracking_uri: str, pipeline_root: str | None
) -> Judged:
    """The verdict of a run that has succeeded.

    Args:
        registry: the recipe's.
        run_id: Kubeflow's.
        tracking_uri: MLflow as this process reaches it; empty for the environment's.
        pipeline_root: where the run's artifacts are, if that is known.

    Raises:
        Unknown: it is found nowhere; the message says where it was looked for.
    """
    problems = []
    try:
        return _from_mlflow(registry, run_id, tracking_uri)
    except (UserError, StepFailed) as error:
        problems.append(str(error))
    if pipeline_root:
        try:
            return _from_artifacts(run_id, pipeline_root)
        except (UserError, StepFailed, StorageFailed) as error:
            problems.append(str(error))
    else:
        problems.append("no --pipeline-root says where its artifacts are")
    raise Unknown(
        f"the run succeeded, but its verdict cannot be read: {'; '.join(problems)}. Point "
        "MLFLOW_TRACKING_URI at the MLflow that its steps record in"
    )


def _from_mlflow(registry: RegistrySpec, run_id: str, tracking_uri: str) -> Judged:
    import mlflow.artifacts

    from components.registration import tags
    from components.registration.client import TrackingError, clear_errors, connect
    from components.registration.figures import deployed
    from components.registration.outages import is_outage
    from components.registration.store import locate_existing

    store = locate_existing(tracking_uri)
    try:
        with clear_errors(store):
            client = connect(store)
            run = _mlflow_run(client, registry.model, run_id)
            if run is None:
                raise StepFailed(f"MLflow at {store.public_uri} has no run of it")
            known, prefix = run.data.tags, f"runs:/{run.info.run_id}"
            record: Registration | None
            decision: Decision | None
            try:
                record = Registration.model_validate_json(
                    mlflow.artifacts.load_text(f"{prefix}/registration.json")
                )
                decision = Decision.model_validate_json(
                    mlflow.artifacts.load_text(f"{prefix}/decision.json")
                )
            except Exception as error:
                if not (is_outage(error) or isinstance(error, ValidationError | ImportError)):
                    raise
                # The store of artifacts may be closed to this process; tags are not.
                record = decision = None
            figures = {
                **{name: value for name, value in deployed(run).items() if name in _FIGURES},
                **{name: run.data.metrics[name] for name in _OVERALL if name in run.data.metrics},
            }
    except TrackingError as error:
        raise StepFailed(str(error)) from None
    if decision is not None:
        reasons = _reasons(decision)
    else:
        reasons = [
            f"{gate} failed" for gate in known.get(tags.FAILED_GATES, "").split(", ") if gate
        ]
    verdict = record.verdict if record else known.get(tags.VERDICT)
    if verdict not in {"promote", "reject"}:
        raise StepFailed(f"the run {run.info.run_id} of MLflow at {store.public_uri} is not whole")
    return Judged(
        verdict=verdict,
        outcome=record.outcome if record else None,
        summary=record.summary if record else known.get("mlflow.note.content", ""),
        reasons=reasons,
        model=registry.model,
        version=record.version if record else None,
        alias=record.alias if record else None,
        figures=figures,
        mlflow_run_id=run.info.run_id,
        source=store.public_uri,
    )


def _mlflow_run(client: Any, model: str, run_id: str) -> Any | None:
    """Of several attempts' runs, the one that has figures."""
    from components.registration import tags

    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(
        experiments,
        f"tags.`{tags.RUN_ID}` = '{run_id}' and params.`registry.model` = '{model}'",
    )
    return max(runs, key=lambda run: tags.FIGURES_AT in run.data.tags, default=None)


def _from_artifacts(run_id: str, pipeline_root: str) -> Judged:
    """From what the last steps wrote below ``ROOT/PIPELINE/RUN/TASK/…/OUTPUT``."""
    storage = open_storage(pipeline_root)
    names = [found.name for found in storage.list() if f"/{run_id}/" in f"/{found.name}"]

    def texts(task: str, output: str) -> Iterable[bytes]:
        for name in names:
            if f"/{task}" in name and name.endswith(f"/{output}"):
                yield storage.read(name)

    try:
        records = [
            Registration.model_validate_json(t) for t in texts("register-student", "registration")
        ]
        decisions = [Decision.model_validate_json(t) for t in texts("decide-promotion", "decision")]
        evaluations = [
            Evaluation.model_validate_json(t) for t in texts("evaluate-student", "evaluation")
        ]
    except ValidationError as error:
        raise StepFailed(f"an artifact of the run below {pipeline_root} is damaged") from error
    # Where the champion moved meanwhile, the student was judged twice, and the second one counts.
    record = next((found for found in records if found.outcome != "champion_moved"), None)
    if record is None:
        raise StepFailed(f"no record of the registration is below {pipeline_root}")
    return Judged(
        verdict=record.verdict,
        outcome=record.outcome,
        summary=record.summary,
        reasons=_reasons(decisions[0]) if len(decisions) == 1 else [],
        model=record.model,
        version=record.version,
        alias=record.alias,
        figures=_measured(evaluations[0], decisions[0]) if len(decisions) == 1 else {},
        mlflow_run_id=record.mlflow_run_id,
        source=pipeline_root,
    )


def _measured(evaluation: Evaluation, decision: Decision) -> dict[str, float]:
    chosen = evaluation.measured(decision.candidate)
    values = {
        "accuracy": chosen.metrics["accuracy"].value,
        "accuracy_lower": chosen.accuracy_interval.lower,
        "accuracy_upper": chosen.accuracy_interval.upper,
        "latency_p50_ms": chosen.latency_ms.p50.value,
        "latency_p95_ms": chosen.latency_ms.p95.value,
        "size_bytes": float(chosen.size_bytes),
        "parameters": float(chosen.parameters),
        "retention": evaluation.retention,
        "gap_recovered": evaluation.gap_recovered,
    }
    return {name: value for name, value in values.items() if value is not None}


def _reasons(decision: Decision) -> list[str]:
    return [check.reason for check in decision.checks if not check.passed]
