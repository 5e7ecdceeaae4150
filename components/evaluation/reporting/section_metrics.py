"""The report's table of all metrics of all models."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.evaluation.reporting.listing import Named
from components.shared.formatting import fraction, interval, percent
from components.shared.results import MetricName

_PERCENT = "percent"
_METRICS: dict[MetricName, tuple[str, str]] = {
    "accuracy": ("Accuracy", _PERCENT),
    "balanced_accuracy": ("Balanced accuracy", _PERCENT),
    "macro_f1": ("Macro-F1", "fraction"),
    "auroc": ("AUROC", "fraction"),
    "log_loss": ("Log-loss", "fraction"),
    "calibration_error": ("Calibration error", _PERCENT),
    "agreement": ("Agreement with teacher", _PERCENT),
    "kl_to_teacher": ("KL to teacher", "fraction"),
}
"""Column title and how its numbers are written, in the order of the columns."""


@dataclass(frozen=True)
class MetricCell:
    """One metric of one model."""

    value: str
    interval: str


@dataclass(frozen=True)
class MetricTable:
    """All metrics that any model has."""

    columns: list[str]
    rows: list[tuple[Named, list[MetricCell | None]]]
    """Null where a metric does not apply, such as the teacher's agreement with itself."""


def metric_table(models: Sequence[Named]) -> MetricTable:
    """One row a model, one column a metric."""
    names = [name for name in _METRICS if any(name in model.result.metrics for model in models)]
    return MetricTable(
        columns=[_METRICS[name][0] for name in names],
        rows=[(model, [_cell(model, name) for name in names]) for model in models],
    )


def _cell(model: Named, name: MetricName) -> MetricCell | None:
    estimate = model.result.metrics.get(name)
    if estimate is None:
        return None
    if _METRICS[name][1] == _PERCENT:
        return MetricCell(percent(estimate.value), interval(estimate.lower, estimate.upper))
    return MetricCell(
        fraction(estimate.value), f"{fraction(estimate.lower)} to {fraction(estimate.upper)}"
    )
