"""Models drawn by chance for the report's example: predictions, their metrics, latencies."""

import math
from collections.abc import Iterable

import numpy as np
from sklearn import metrics as sk

from components.shared.results import (
    ArmName,
    ArmResult,
    CalibrationBin,
    ClassResult,
    Estimate,
    Footprint,
    Latency,
    MetricName,
    PairedCounts,
    Percentile,
    RocPoint,
    SliceResult,
)

SEGMENTS = 24
PARAMETERS = {"teacher": 52_138, "pruned_channels_50_int8": 610}
BYTES = {"teacher": 210_432, "int8_dynamic": 3_021, "int8_static": 2_460, "float16": 2_990}
P50_MS = {
    "teacher": 0.0602,
    "hard_label": 0.00607,
    "pseudo_label": 0.0062,
    "champion": 0.0066,
    "int8_dynamic": 0.0094,
    "int8_static": 0.0041,
    "float16": 0.0061,
}


def right(random: np.random.Generator, hardness: np.ndarray, share: float) -> np.ndarray:
    """The easiest rows, with some luck."""
    blurred = hardness + random.normal(0, 0.025, len(hardness))
    return blurred < np.quantile(blurred, share)


def predicted(
    random: np.random.Generator, labels: np.ndarray, right: np.ndarray, classes: int
) -> np.ndarray:
    neighbour = (labels + random.choice([1, 1, 3, 7], len(labels))) % classes
    neighbour = np.where(neighbour == labels, (labels + 1) % classes, neighbour)
    return np.where(right, labels, neighbour)


def probabilities(
    random: np.random.Generator, right: np.ndarray, predicted: np.ndarray, classes: int
) -> np.ndarray:
    rows, floor = len(right), 1 / classes
    sure = floor + (1 - floor) * np.where(right, random.beta(9, 0.7, rows), random.beta(3, 2, rows))
    sure = np.clip(sure, floor, 0.9999)
    probabilities = np.tile((1 - sure)[:, None] / (classes - 1), (1, classes))
    probabilities[np.arange(rows), predicted] = sure
    return probabilities


def columns(random: np.random.Generator, hardness: np.ndarray) -> dict[str, np.ndarray]:
    """Two columns to slice by; rows of one value are harder."""
    rows = len(hardness)
    sites = np.array(["Basel", "Kyiv", "Lagos", "Lima", "Oslo"])
    site = sites[np.minimum(random.geometric(0.4, rows) - 1, 4)]
    site[(hardness > 0.9) & (random.random(rows) < 0.4)] = "Lima"
    pens = np.array(["0.2 to 0.5", "0.5 to 0.9", "0.9 to 1.6", "1.6 to 4"])
    return {"site": site, "pen_width_mm": pens[np.minimum(random.poisson(1.1, rows), 3)]}


def arm(
    name: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: list[str],
    columns: dict[str, np.ndarray],
) -> ArmResult:
    predicted = probabilities.argmax(axis=1)
    numbers = list(range(len(classes)))
    confusion = sk.confusion_matrix(labels, predicted, labels=numbers)
    precision, recall, f1, rows = sk.precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0
    )
    return ArmResult(
        rows=len(labels),
        metrics=_metrics(name, labels, probabilities),
        per_class=[
            ClassResult(
                name=title, rows=int(rows[k]), precision=precision[k], recall=recall[k], f1=f1[k]
            )
            for k, title in enumerate(classes)
        ],
        confusion=confusion.tolist(),
        calibration=_calibration(labels, probabilities)[1],
        roc=[RocPoint(threshold=0.5, true_positive_rate=0.9, false_positive_rate=0.1)],
        slices=[
            _slice(column, value, values == value, labels, probabilities)
            for column, values in columns.items()
            for value in np.unique(values)
        ],
        parameters=PARAMETERS.get(name, 1210),
        size_bytes=BYTES.get(name, 5384),
        latency=[],
        footprint=Footprint(
            cold_start_ms=11.3 if name == "teacher" else 2.6, peak_memory_bytes=9_437_184
        ),
        model_digest=(name.encode().hex() * 8)[:64],
        bundle_digest="b" * 64,
    )


def _metrics(
    name: str, labels: np.ndarray, probabilities: np.ndarray
) -> dict[MetricName, Estimate]:
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    scores = probabilities if classes > 2 else probabilities[:, 1]
    accuracy = float((predicted == labels).mean())
    found = {
        "accuracy": _estimate(accuracy, len(labels)),
        "balanced_accuracy": _estimate(sk.balanced_accuracy_score(labels, predicted), len(labels)),
        "macro_f1": _estimate(sk.f1_score(labels, predicted, average="macro"), len(labels)),
        "auroc": _estimate(sk.roc_auc_score(labels, scores, multi_class="ovr"), len(labels)),
        "log_loss": _around(sk.log_loss(labels, probabilities), 0.012),
        "calibration_error": _around(_calibration(labels, probabilities)[0], 0.004),
        "agreement": _estimate(accuracy * 0.99, len(labels)),
        "kl_to_teacher": _around(0.11, 0.009),
    }
    if name == "teacher":
        del found["agreement"], found["kl_to_teacher"]
    return found


def _slice(
    column: str, value: str, chosen: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> SliceResult:
    right = probabilities[chosen].argmax(axis=1) == labels[chosen]
    accuracy = _estimate(float(right.mean()), len(right))
    return SliceResult(
        column=column, value=str(value), rows=len(right), metrics={"accuracy": accuracy}
    )


def _calibration(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> tuple[float, list[CalibrationBin]]:
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    index = np.minimum((sure * bins).astype(int), bins - 1)
    found = [
        CalibrationBin(
            rows=int((index == k).sum()),
            confidence=float(sure[index == k].mean()),
            accuracy=float(right[index == k].mean()),
        )
        for k in np.unique(index)
    ]
    error = sum(one.rows * abs(one.confidence - one.accuracy) for one in found) / len(labels)
    return error, found


def _estimate(share: float, rows: int) -> Estimate:
    """With the Wilson score interval at 95 %."""
    z = 1.96
    centre, scale = share + z**2 / (2 * rows), 1 + z**2 / rows
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return Estimate(
        value=share,
        centre=share,
        standard_error=math.sqrt(share * (1 - share) / rows),
        lower=max((centre - half) / scale, 0.0),
        upper=min((centre + half) / scale, 1.0),
    )


def _around(value: float, error: float) -> Estimate:
    return Estimate(
        value=value,
        centre=value,
        standard_error=error,
        lower=value - 1.96 * error,
        upper=value + 1.96 * error,
    )


def paired(
    right: dict[str, np.ndarray], student: str, arms: Iterable[ArmName]
) -> dict[ArmName, PairedCounts]:
    mine = right[student]
    return {
        name: PairedCounts(
            both=int((mine & right[name]).sum()),
            only_student=int((mine & ~right[name]).sum()),
            only_other=int((~mine & right[name]).sum()),
            neither=int((~mine & ~right[name]).sum()),
        )
        for name in arms
        if name != "student"
    }


def latency(
    random: np.random.Generator, name: str, drift: np.ndarray, batch_size: int, threads: int
) -> Latency:
    """Segments that drift alike for every model, each with some scatter of its own."""
    p50 = P50_MS.get(name, 0.00612) * (1 + 0.12 * (batch_size - 1)) * (1.3 if threads > 1 else 1)

    def percentile(factor: float, scatter: float) -> Percentile:
        segments = p50 * factor * drift * np.exp(random.normal(0, scatter, SEGMENTS))
        ordered = np.sort(segments)
        return Percentile(
            value=float(np.median(segments)),
            lower=float(ordered[6]),
            upper=float(ordered[17]),
            segments=segments.tolist(),
        )

    middle = percentile(1.0, 0.008)
    return Latency(
        batch_size=batch_size,
        threads=threads,
        p50=middle,
        p95=percentile(1.32, 0.03),
        p99=percentile(1.9, 0.12),
        calls=SEGMENTS * 125,
        throughput=1000 * batch_size / middle.value,
    )
