"""The recipe's ``evaluation``, ``gates`` and ``registry`` sections."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.shared.recipe.base import Confidence, Fraction, PositiveFloat, PositiveInt, Spec


class EvaluationSpec(Spec):
    """How latency is measured: single rows through ONNX Runtime, all arms in turn."""

    threads: PositiveInt = 1
    """Threads of ONNX Runtime."""
    warmup: PositiveInt = 200
    """Calls of each model before the first that counts."""
    calls: Annotated[int, Field(ge=100)] = 10_000
    """Counted calls of each model."""
    confidence: Confidence = 0.95
    """Level of the confidence intervals in the evaluation."""


class AccuracyGate(Spec):
    """The student's accuracy itself."""

    min: Fraction


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


class LatencyGate(Spec):
    """Largest latencies of one row, in milliseconds."""

    p50_ms: PositiveFloat | None = None
    p95_ms: PositiveFloat | None = None
    p99_ms: PositiveFloat | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> "LatencyGate":
        if self.p50_ms is None and self.p95_ms is None and self.p99_ms is None:
            raise ValueError("needs at least one of p50_ms, p95_ms and p99_ms")
        return self


class SizeGate(Spec):
    """Largest size of the deployed file, in bytes."""

    max_bytes: PositiveInt


class Gates(Spec):
    """What a student must meet. Each gate is judged on its one-sided confidence bound."""

    confidence: Confidence = 0.95
    accuracy: AccuracyGate | None = None
    retention: RetentionGate | None = None
    champion: ChampionGate | None = None
    hard_label: HardLabelGate | None = None
    latency: LatencyGate | None = None
    size: SizeGate | None = None
    on_missing_champion: Literal["promote", "reject"] = "promote"
    """Where no champion exists: judge by the other gates alone, or reject."""

    @model_validator(mode="after")
    def _not_empty(self) -> "Gates":
        gates = (self.accuracy, self.retention, self.hard_label, self.latency, self.size)
        if self.champion is None and all(gate is None for gate in gates):
            raise ValueError("needs at least one gate; an empty policy would promote anything")
        return self


class RegistrySpec(Spec):
    """Where models and runs are recorded."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]
    """Name of the registered model; serving loads ``models:/<name>@<alias>``."""
    alias: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")] = "champion"
    """The alias that serving reads."""
    experiment: str = "kubedistill"
    """MLflow experiment of the pipeline runs."""

    @field_validator("alias")
    @classmethod
    def _not_reserved(cls, alias: str) -> str:
        lowered = alias.lower()
        if lowered == "latest" or (lowered[0] == "v" and lowered[1:].isdigit()):
            raise ValueError("'latest' and 'v<number>' are reserved by MLflow")
        return alias
