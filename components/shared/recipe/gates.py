"""The recipe's ``gates`` section: what a student must meet to be promoted."""

from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from components.shared.recipe.base import Confidence, Fraction, PositiveFloat, PositiveInt, Spec
from components.shared.results.latency import PercentileName
from components.shared.results.metrics import MetricName


class AtLeast(Spec):
    """The smallest value of a metric, 0 to 1."""

    min: Fraction


class AtMost(Spec):
    """The largest value of a metric."""

    max: Annotated[float, Field(ge=0)]


class RetentionGate(Spec):
    """Accuracy of the student divided by that of the teacher."""

    min: PositiveFloat


class ChampionGate(Spec):
    """Non-inferiority to the present champion on the same rows."""

    max_regression: Fraction = 0.01
    """Largest drop in accuracy that is tolerated, as a fraction of the rows."""


class HardLabelGate(Spec):
    """Did distillation help: better than the same student trained without the teacher."""

    min_gain: Annotated[float, Field(ge=-1, le=1)] = 0.0


class WorstSliceGate(Spec):
    """Every slice of ``data.slices`` by itself."""

    min_accuracy: Fraction
    min_rows: PositiveInt = 30
    """Slices with fewer test rows are reported, but not judged."""


class LatencyGate(Spec):
    """Largest latencies under the first condition of ``evaluation.latency``."""

    p50_ms: PositiveFloat | None = None
    p95_ms: PositiveFloat | None = None
    p99_ms: PositiveFloat | None = None
    ratio_to_champion: PositiveFloat | None = None
    """Largest latency divided by the champion's, measured in turn; 1.1 allows 10 % more."""
    ratio_to_teacher: PositiveFloat | None = None
    ratio_percentile: PercentileName = "p50"
    """The percentile of both ratios."""

    @property
    def absolute(self) -> dict[PercentileName, float]:
        """The limits in milliseconds, by percentile."""
        limits: dict[PercentileName, float | None] = {
            "p50": self.p50_ms,
            "p95": self.p95_ms,
            "p99": self.p99_ms,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}

    @model_validator(mode="after")
    def _not_empty(self) -> "LatencyGate":
        if not self.absolute and self.ratio_to_champion is None and self.ratio_to_teacher is None:
            raise ValueError(
                "needs at least one of p50_ms, p95_ms, p99_ms, ratio_to_champion and "
                "ratio_to_teacher"
            )
        return self


class BytesGate(Spec):
    """Largest number of bytes."""

    max_bytes: PositiveInt


class Gates(Spec):
    """What a student must meet. Each gate is judged on a one-sided confidence bound.

    All compressed forms of the student are judged; the best of those that pass is deployed. To keep
    the chance of promoting a student that should not be at 1 - ``confidence``, the bounds of each
    form are taken at 1 - (1 - ``confidence``) / number of forms (Bonferroni).
    """

    confidence: Confidence = 0.95
    prefer: Literal["latency", "size", "accuracy"] = "latency"
    """Which of the candidates that pass is deployed: the first in ``compression.candidates``,
    unless a later one is at least 5 % faster (by median latency) or smaller, or more accurate by
    over one standard error."""
    accuracy: AtLeast | None = None
    balanced_accuracy: AtLeast | None = None
    macro_f1: AtLeast | None = None
    auroc: AtLeast | None = None
    log_loss: AtMost | None = None
    calibration_error: AtMost | None = None
    agreement: AtLeast | None = None
    """Share of the test rows on which the student predicts the teacher's class."""
    worst_slice: WorstSliceGate | None = None
    retention: RetentionGate | None = None
    champion: ChampionGate | None = None
    hard_label: HardLabelGate | None = None
    latency: LatencyGate | None = None
    size: BytesGate | None = None
    """Of the deployed file."""
    memory: BytesGate | None = None
    """Peak memory of a process that loads the file and predicts."""
    first_model: Literal["promote", "reject"] = "promote"
    """Where nothing was ever registered under the name: judge by the gates that need no champion,
    or reject."""
    on_missing_champion: Literal["promote", "reject"] = "reject"
    """Where versions are registered, but the alias is on none of them: judge by the gates that need
    no champion, or reject."""
    on_noise: Literal["judge", "reject", "ratio_only"] = "judge"
    """What becomes of limits in milliseconds where the machine was still noisy at the last attempt.
    ``judge``: they hold as ever; noise makes models slower, so it can reject a good student, but
    not promote a slow one. ``reject``: they fail, whatever was measured. ``ratio_only``: they are
    left out, and the ratios to champion or teacher, which noise touches far less, judge alone."""

    @property
    def metric_gates(self) -> dict[MetricName, AtLeast | AtMost]:
        """The gates on single metrics, by the metric's name."""
        return {
            cast(MetricName, name): gate
            for name, gate in self
            if isinstance(gate, AtLeast | AtMost)
        }

    @model_validator(mode="after")
    def _not_empty(self) -> "Gates":
        if not any(isinstance(field, Spec) for _, field in self):  # the others are no gates
            raise ValueError("needs at least one gate; an empty policy would promote anything")
        return self

    @model_validator(mode="after")
    def _ratios_can_judge(self) -> "Gates":
        limits = self.latency
        if self.on_noise != "ratio_only" or limits is None or not limits.absolute:
            return self
        if limits.ratio_to_champion is None and limits.ratio_to_teacher is None:
            raise ValueError(
                "on_noise is ratio_only, but latency has neither ratio_to_champion nor "
                "ratio_to_teacher: on a noisy machine nothing would be judged"
            )
        return self
