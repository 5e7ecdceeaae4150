"""The card's figures: this version beside the models that it was measured with."""

from collections.abc import Iterator

from components.registration.card.section import Section, paragraphs
from components.registration.submission import Submission
from components.shared.formatting import (
    fraction,
    integer,
    interval,
    latency,
    level,
    percent,
    points,
    size,
)
from components.shared.markdown import table
from components.shared.results import ArmName, ArmResult, Estimate, Evaluation, MetricName, Quality

_ARMS: dict[ArmName, str] = {
    "student": "the student in float32",
    "teacher": "teacher",
    "hard_label": "hard labels: the same network, from the labels alone",
    "pseudo_label": "pseudo-labels: the same network, from the teacher's plain predictions",
}
_STUDENTS: tuple[ArmName, ...] = ("student", "hard_label")
_SHARES: dict[MetricName, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "agreement": "Agreement with the teacher",
}
_NUMBERS: dict[MetricName, str] = {
    "auroc": "AUROC",
    "log_loss": "Log loss, nats",
    "calibration_error": "Calibration error",
    "kl_to_teacher": "KL divergence from the teacher, nats",
}


def figures(submission: Submission) -> Section:
    """Accuracy, latency and size of every model that was measured on the same rows."""
    evaluation = submission.evaluation
    about = (
        f"All models on the same {integer(evaluation.rows)} test rows; in brackets "
        f"{level(evaluation.confidence)} confidence intervals."
    )
    rows = [_row(name, result) for name, result in _models(submission)]
    header = ["Model", "Accuracy", "Latency p95", "Size"]
    return Section("Figures", paragraphs(about, table(header, rows, "lrrr")), 1)


def further_figures(submission: Submission) -> Section:
    """All other metrics of this version."""
    evaluation = submission.evaluation
    metrics = evaluation.measured(submission.decision.candidate).metrics
    rows = [
        [title, percent(metrics[name].value), interval(metrics[name].lower, metrics[name].upper)]
        for name, title in _SHARES.items()
        if name in metrics
    ]
    rows += [[title, *_number(metrics[n])] for n, title in _NUMBERS.items() if n in metrics]
    header = ["This version", "Value", f"{level(evaluation.confidence)} interval"]
    return Section("All metrics", table(header, rows, "lrr"), 12)


def benefit(submission: Submission) -> Section:
    """Whether distillation helped: the student against the same network without a teacher."""
    evaluation = submission.evaluation
    parts = [_gap(evaluation), _paired(evaluation, "hard_label", "the hard-label arm")]
    parts += [
        f"The gate on it says: {check.reason}"
        for check in submission.decision.checks
        if check.gate == "gates.hard_label.min_gain"
    ]
    parts.append(_paired(evaluation, "pseudo_label", "the pseudo-label arm"))
    return Section("Did distillation help?", " ".join(part for part in parts if part), 5)


def _models(submission: Submission) -> Iterator[tuple[str, Quality]]:
    """All but a teacher that was not run here are :class:`ArmResult`."""
    evaluation, candidate = submission.evaluation, submission.decision.candidate
    chosen = evaluation.measured(candidate)
    yield "**this version**", chosen
    for arm, title in _ARMS.items():
        # The float32 student is this version, where it is the one that is deployed.
        measured = evaluation.arms.get(arm)
        if measured is None or measured.model_digest != chosen.model_digest:
            yield title, measured or evaluation.teacher
    if "champion" in evaluation.arms:
        yield f"champion, version {evaluation.champion_version}", evaluation.arms["champion"]


def _row(name: str, result: Quality) -> list[str]:
    accuracy = result.metrics["accuracy"]
    shown = [name, f"{percent(accuracy.value)} ({interval(accuracy.lower, accuracy.upper)})"]
    if not isinstance(result, ArmResult):
        return [*shown, "not measured: not run here", "not known"]
    p95 = result.latency_ms.p95
    span = f"{latency(p95.lower)} to {latency(p95.upper)}"
    return [*shown, f"{latency(p95.value)} ({span})", size(result.size_bytes)]


def _number(estimate: Estimate) -> list[str]:
    return [
        fraction(estimate.value),
        f"{fraction(estimate.lower)} to {fraction(estimate.upper)}",
    ]


def _gap(evaluation: Evaluation) -> str:
    teacher = evaluation.teacher.accuracy
    student, hard = (evaluation.arms[name].accuracy for name in _STUDENTS)
    recovered = evaluation.gap_recovered
    seen = (
        f"The teacher reaches {percent(teacher)}, the distilled student {percent(student)} and the "
        f"same network from the labels alone {percent(hard)}"
    )
    if recovered is None:
        return f"{seen}, so that there was no gap to close."
    share = "none" if recovered <= 0 else "all" if recovered >= 1 else percent(recovered, 0)
    return (
        f"{seen}: {share} of the gap is recovered, and the student keeps "
        f"{percent(evaluation.retention)} of the teacher's accuracy."
    )


def _paired(evaluation: Evaluation, arm: ArmName, name: str) -> str:
    counts = evaluation.paired.get(arm)
    if counts is None:
        return ""
    difference = (counts.only_student - counts.only_other) / max(counts.rows, 1)
    return (
        f"Row by row, the student is {_points(difference)} {name}: it alone is right on "
        f"{integer(counts.only_student)} rows, the other alone on {integer(counts.only_other)}."
    )


def _points(difference: float) -> str:
    if difference == 0:
        return "level with"
    side = "ahead of" if difference > 0 else "behind"
    return f"{points(abs(difference)).lstrip('+')} {side}"
