"""Evaluations of models that are right on given rows, with whatever else a test needs to set."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from components.evaluation.bounds import wilson_interval
from components.shared.results import (
    ArmName,
    ArmResult,
    CandidateResult,
    ChampionState,
    Estimate,
    Evaluation,
    Footprint,
    Latency,
    Noise,
    PairedCounts,
    Percentile,
    SliceResult,
)

ROWS = 800
SEGMENTS = 24
QUIET = Noise(drift=0.04, preempted=0.01, limit=0.25, attempts=1)
NOISY = Noise(drift=0.61, preempted=0.07, limit=0.25, attempts=3)
METRICS = {
    "balanced_accuracy": 0.94,
    "macro_f1": 0.945,
    "auroc": 0.99,
    "log_loss": 0.2,
    "calibration_error": 0.02,
    "agreement": 0.97,
    "kl_to_teacher": 0.05,
}


class Made(NamedTuple):
    """One model, as far as tests care."""

    right: np.ndarray
    """On which rows it is right."""
    latency_ms: float = 0.010
    size_bytes: int = 6_000
    memory_bytes: int = 2_000_000
    slices: Mapping[str, tuple[int, int]] = {}
    """Right rows and all rows, by value of a column ``region``."""
    metrics: Mapping[str, float] = {}
    """Those that differ from the usual."""
    ripple: Sequence[float] = ()
    """Latency of each segment relative to ``latency_ms``."""


def right_rows(errors: int, shift: int = 0, rows: int = ROWS) -> np.ndarray:
    """All rows right but ``errors`` of them, from row ``shift`` on."""
    right = np.ones(rows, dtype=bool)
    right[shift : shift + errors] = False
    return right


GOOD: dict[ArmName, np.ndarray] = {
    "teacher": right_rows(30),
    "student": right_rows(40),
    "hard_label": right_rows(90),
    "pseudo_label": right_rows(42),
    "champion": right_rows(41, shift=3),
}


def make_evaluation(
    right: Mapping[ArmName, np.ndarray] = GOOD,
    candidates: Mapping[str, Made] | None = None,
    noise: Noise = QUIET,
    champion_state: ChampionState | None = None,
    champion_dataset: str | None = "d" * 64,
    **arms: Made,
) -> Evaluation:
    """An evaluation of arms that are right on the given rows.

    Args:
        right: on which rows each arm is right.
        candidates: by default the student alone, as ``float32``.
        noise: of the machine.
        champion_state: by default what follows from the arms.
        champion_dataset: digest of the data that the champion was trained on.
        arms: arms of which more is to be set.
    """
    made = {name: arms.get(name, Made(rows)) for name, rows in right.items()}
    candidates = {"float32": made["student"]} if candidates is None else candidates
    present = "champion" in right
    return Evaluation(
        dataset_digest="d" * 64,
        classes=["a", "b"],
        rows=len(right["student"]),
        confidence=0.95,
        arms={name: measured(model, f"digest-of-{name}") for name, model in made.items()},
        paired=_paired(made["student"], right),
        candidates=[
            CandidateResult(
                name=name,
                how="as a test wants it",
                measured=measured(model, f"digest-of-{name}"),
                paired=_paired(model, right),
            )
            for name, model in candidates.items()
        ],
        skipped=[],
        noise=noise,
        champion_state=champion_state or ("present" if present else "first_model"),
        champion_version="3" if present else None,
        champion_dataset_digest=champion_dataset if present else None,
    )


def measured(model: Made, digest: str) -> ArmResult:
    """What an evaluation says of one model."""
    rows = len(model.right)
    values = METRICS | dict(model.metrics)
    return ArmResult(
        rows=rows,
        metrics={
            "accuracy": accuracy_estimate(int(model.right.sum()), rows),
            **{name: _estimate(value) for name, value in values.items()},
        },
        per_class=[],
        confusion=[],
        calibration=[],
        roc=[],
        slices=[
            SliceResult(
                column="region",
                value=value,
                rows=all_rows,
                metrics={"accuracy": accuracy_estimate(right, all_rows)},
            )
            for value, (right, all_rows) in model.slices.items()
        ],
        parameters=1210,
        size_bytes=model.size_bytes,
        latency=[make_latency(model.latency_ms, model.ripple)],
        footprint=Footprint(cold_start_ms=12.0, peak_memory_bytes=model.memory_bytes),
        model_digest=digest,
        bundle_digest="b" * 64,
    )


def make_latency(p50_ms: float, ripple: Sequence[float] = ()) -> Latency:
    """Percentiles of 1, 1.2 and 1.5 times ``p50_ms``, with the same ripple over time."""
    shape = np.array(ripple or [1 + 0.002 * math.sin(7 * second) for second in range(SEGMENTS)])
    p50, p95, p99 = (percentile((p50_ms * factor * shape).tolist()) for factor in (1, 1.2, 1.5))
    return Latency(
        batch_size=1, threads=1, p50=p50, p95=p95, p99=p99, calls=3000, throughput=1e3 / p50.value
    )


def percentile(segments: list[float]) -> Percentile:
    """A percentile of these segments."""
    return Percentile(
        value=float(np.median(segments)),
        lower=min(segments),
        upper=max(segments),
        segments=segments,
    )


def accuracy_estimate(right: int, rows: int) -> Estimate:
    """An accuracy as the evaluation writes it."""
    accuracy = right / rows
    interval = wilson_interval(accuracy, rows, 0.95)
    error = math.sqrt(accuracy * (1 - accuracy) / rows)
    return Estimate(
        value=accuracy,
        centre=accuracy,
        standard_error=error,
        lower=interval.lower,
        upper=interval.upper,
    )


def counts_of(student: np.ndarray, other: np.ndarray) -> PairedCounts:
    """Paired counts of two models by the rows they are right on."""
    return PairedCounts(
        both=int((student & other).sum()),
        only_student=int((student & ~other).sum()),
        only_other=int((~student & other).sum()),
        neither=int((~student & ~other).sum()),
    )


def changed(part: Any, path: str, value: Any) -> Any:
    """A copy with one value replaced, past all validation.

    Args:
        part: a result, a mapping or a list.
        path: names, keys and positions between dots; a candidate goes by its position.
        value: what is to be there.
    """
    head, _, rest = path.partition(".")
    if isinstance(part, list):
        position = int(head)
        new = changed(part[position], rest, value) if rest else value
        return [*part[:position], new, *part[position + 1 :]]
    if isinstance(part, dict):
        return {**part, head: changed(part[head], rest, value) if rest else value}
    new = changed(getattr(part, head), rest, value) if rest else value
    return part.model_copy(update={head: new})


def without(arm: ArmName) -> dict[ArmName, np.ndarray]:
    """The usual arms but one."""
    return {name: rows for name, rows in GOOD.items() if name != arm}


def _paired(model: Made, right: Mapping[ArmName, np.ndarray]) -> dict[ArmName, PairedCounts]:
    return {name: counts_of(model.right, rows) for name, rows in right.items() if name != "student"}


def _estimate(value: float) -> Estimate:
    return Estimate(
        value=value, centre=value, standard_error=0.005, lower=value - 0.01, upper=value + 0.01
    )
