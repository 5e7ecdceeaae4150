"""The comparison of a challenger with the champion on fresh rows."""

from datetime import UTC, datetime
from pathlib import Path

from components.evaluation.comparing import sentences
from components.evaluation.comparing.bounded import bounded_agreement, bounded_difference
from components.evaluation.comparing.classes import class_shifts, disagreements
from components.evaluation.comparing.findings import Findings
from components.evaluation.comparing.judge import judge
from components.evaluation.comparing.measure import Measured, measure
from components.evaluation.comparing.policy import Policy
from components.evaluation.comparing.tallies import ComparisonTally
from components.evaluation.latency_bounds import ratio
from components.evaluation.measuring.estimates import estimates
from components.evaluation.measuring.metrics import Sums
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.records import read_record
from components.shared.registered import RegisteredModel
from components.shared.results import (
    FRESH_ROWS,
    ComparedModel,
    Comparison,
    Estimate,
    FreshRows,
    MetricName,
)

_ABOUT_BOTH: tuple[MetricName, ...] = ("agreement", "kl_to_teacher")
"""What is said of all rows, and not of the labelled ones."""


def compare_models(
    model: str,
    rows_folder: Path,
    champion: RegisteredModel,
    challenger: RegisteredModel,
    policy: Policy,
) -> Comparison:
    """Run both models on the fresh rows, and judge the challenger.

    Args:
        model: name of the registered model.
        rows_folder: artifact of the fresh rows, as collect_rows wrote it.
        champion: the version that serving reads.
        challenger: the version that waits for approval.
        policy: by what it is judged.

    Raises:
        UserError: the two are one version, one of them does not fit the rows or gives no
            probabilities, or the rows cannot be read.
    """
    if champion.version == challenger.version:
        raise UserError(
            f"version {challenger.version} of {model!r} is the champion itself; there is nothing "
            "to compare"
        )
    rows = _fresh_rows(rows_folder)
    dataset = Dataset.open(rows_folder, rows.digest)
    measured = measure(dataset, champion, challenger, policy.latency, policy.confidence)
    findings = _findings(rows, dataset.manifest.classes, measured, champion, challenger, policy)
    return _record(model, dataset.manifest.classes, measured.tally, findings, policy)


def _fresh_rows(folder: Path) -> FreshRows:
    path = folder / FRESH_ROWS
    if not path.is_file():
        raise UserError(
            f"{folder} holds no fresh rows: it has no {FRESH_ROWS}; make it with collect_rows, "
            "which leaves out what the models were trained on"
        )
    return read_record(path, FreshRows, "description of the fresh rows")


def _findings(
    rows: FreshRows,
    classes: list[str],
    measured: Measured,
    champion: RegisteredModel,
    challenger: RegisteredModel,
    policy: Policy,
) -> Findings:
    tally = measured.tally
    all_rows = tally.against.sums(0)
    estimate = estimates(all_rows, policy.confidence)["agreement"]
    agreement = bounded_agreement(estimate, tally.rows, policy)
    labelled = None
    if rows.labelled:
        labelled = bounded_difference(
            tally.pair.counts, challenger.version, champion.version, policy
        )
    return Findings(
        models={model.role: _model(model, measured, policy) for model in (champion, challenger)},
        rows=rows,
        labelled=labelled,
        agreement=agreement,
        shifts=class_shifts(all_rows.detail.confusion, classes, policy.confidence),
        noise=measured.noise,
        judgement=judge(labelled, agreement, tally.rows, policy),
    )


def _record(
    model: str, classes: list[str], tally: ComparisonTally, findings: Findings, policy: Policy
) -> Comparison:
    champion, challenger = findings.models["champion"], findings.models["challenger"]
    all_rows = tally.against.sums(0)
    confusion = all_rows.detail.confusion
    slower, bound = ratio(challenger.latency.p50, champion.latency.p50, policy.confidence)
    return Comparison(
        model=model,
        created=datetime.now(UTC),
        champion=champion,
        challenger=challenger,
        rows=findings.rows,
        classes=classes,
        margin=policy.margin,
        min_agreement=policy.min_agreement,
        min_rows=policy.min_rows,
        confidence=policy.confidence,
        agreement=findings.agreement,
        labelled=findings.labelled,
        shifts=findings.shifts,
        confusion=confusion.tolist(),
        disagreements=disagreements(tally, confusion, classes),
        total_variation=tally.total_variation,
        kl_divergence=estimates(all_rows, policy.confidence).get("kl_to_teacher"),
        most_different=tally.most_different,
        latency_ratio=slower,
        latency_ratio_upper=bound,
        noise=findings.noise,
        judged_by=findings.judgement.judged_by,
        recommendation=findings.judgement.recommendation,
        summary=sentences.summary(findings, policy),
        warnings=sentences.warnings(findings, policy),
    )


def _model(model: RegisteredModel, measured: Measured, policy: Policy) -> ComparedModel:
    tally, is_champion = measured.tally, model.role == "champion"
    sums = (tally.champion if is_champion else tally.challenger).sums(0)
    return ComparedModel(
        version=model.version,
        run_id=model.record.run_id,
        registered_at=model.record.registered_at,
        dataset_digest=model.deployable.dataset_digest,
        model_digest=model.deployable.onnx_sha256,
        size_bytes=measured.sizes[model.role],
        metrics=_metrics(sums, policy) if sums.rows else {},
        mean_confidence=tally.champion_confidence if is_champion else tally.challenger_confidence,
        latency=measured.latencies[model.role],
    )


def _metrics(sums: Sums, policy: Policy) -> dict[MetricName, Estimate]:
    found = estimates(sums, policy.confidence)
    return {name: value for name, value in found.items() if name not in _ABOUT_BOTH}
