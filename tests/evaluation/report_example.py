"""Realistic results for tests of the report: measured by the real metrics, on drawn predictions."""

from datetime import UTC, datetime

import numpy as np

from components.evaluation.bounds import wilson_interval
from components.evaluation.gates import decide
from components.evaluation.metrics import calibration, confusion_matrix, paired_counts, per_class
from components.evaluation.report import ReportContext
from components.shared.bundle import Candidate, CurvePoint, ModelBundle, Selection
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.data import TabularInput
from components.shared.recipe.gates import Gates
from components.shared.recipe.models import CnnSpec, MlpSpec
from components.shared.results import (
    ArmName,
    ArmResult,
    Decision,
    Evaluation,
    Latency,
    Percentile,
)

ROWS = 797
DATASET = "4b1d" * 16
ACCURACY: dict[ArmName, float] = {
    "teacher": 0.962,
    "student": 0.951,
    "hard_label": 0.905,
    "pseudo_label": 0.949,
}
PARAMETERS = {"teacher": 52_138}
BYTES = {"teacher": 210_432}
P50_MS = {"teacher": 0.0602, "student": 0.00612, "hard_label": 0.00607, "pseudo_label": 0.0062}
GATES = {
    "accuracy": {"min": 0.9},
    "retention": {"min": 0.93},
    "champion": {"max_regression": 0.02},
    "hard_label": {"min_gain": 0},
    "latency": {"p95_ms": 1},
    "size": {"max_bytes": 50_000},
}
CONTEXT = ReportContext(
    recipe="digits",
    seed=0,
    run_id="20261122-134100-3f9c",
    model="digits-student",
    source="builtin://digits",
    created=datetime(2026, 11, 22, 13, 41, tzinfo=UTC),
    versions={"ONNX Runtime": "1.31.1", "kubedistill": "0.1.0"},
)


def make_evaluation(
    accuracy: dict[ArmName, float] = ACCURACY,
    classes: list[str] | None = None,
    champion_version: str | None = None,
    champion_dataset: str | None = None,
    rows: int = ROWS,
) -> Evaluation:
    """Arms that are right on about as many rows as ``accuracy`` says, mostly on the same rows."""
    classes = classes or [str(digit) for digit in range(10)]
    random = np.random.default_rng(7)
    labels = np.arange(rows) % len(classes)
    hardness = random.random(rows)
    right = {name: _right(random, hardness, share) for name, share in accuracy.items()}
    return Evaluation(
        dataset_digest=DATASET,
        classes=classes,
        rows=rows,
        confidence=0.95,
        arms={name: _arm(random, name, labels, right[name], classes) for name in accuracy},
        paired={
            name: paired_counts(right["student"], right[name])
            for name in accuracy
            if name != "student"
        },
        champion_version=champion_version,
        champion_dataset_digest=champion_dataset,
    )


def with_champion(dataset: str | None = DATASET) -> Evaluation:
    """The example with version 3 as champion, trained on the given data set."""
    return make_evaluation({**ACCURACY, "champion": 0.947}, None, "3", dataset)


def make_decision(evaluation: Evaluation, **changed: object) -> Decision:
    """The gates of the digits recipe, with some changed."""
    return decide(evaluation, Gates.model_validate(GATES | changed))


def make_bundles(trained_teacher: bool = True) -> dict[ArmName, ModelBundle]:
    """How the four arms were trained."""
    grid = [(s, t, w) for s in (400, 1600) for t in (2.0, 1.0) for w in (0.9, 1.0)]
    soft = [
        Candidate(
            steps=s,
            temperature=t,
            weight=w,
            score=0.912 + s / 60_000 + w / 200,
            standard_error=0.016,
        )
        for s, t, w in grid
    ]
    lengths = [Candidate(steps=s, score=0.88, standard_error=0.03) for s in (400, 1600)]
    return {
        "teacher": _bundle("teacher", 400 if trained_teacher else 0, 2.4, 0.02, None),
        "student": _bundle("student", 1600, 9.1, 0.11, soft),
        "hard_label": _bundle("hard_label", 400, 2.5, 0.31, lengths),
        "pseudo_label": _bundle("pseudo_label", 1600, 2.4, 0.03, lengths),
    }


def _bundle(
    role: str, steps: int, first: float, last: float, candidates: list[Candidate] | None
) -> ModelBundle:
    random = np.random.default_rng(len(role))
    at = np.arange(10, steps + 1, 10)
    fall = np.exp(-at / (0.12 * steps)) if steps else at
    losses = (last + (first - last) * fall) * np.exp(random.normal(0, 0.09, len(at)))
    selection = candidates and Selection(
        judge="agreement with the teacher on 150 held-out training rows"
        if role == "student"
        else "accuracy on 150 held-out training rows",
        candidates=candidates,
        chosen=len(candidates) - 3 if role == "student" else len(candidates) - 1,
    )
    return ModelBundle(
        role=role,
        model=CnnSpec(family="cnn", hidden=32)
        if role == "teacher"
        else MlpSpec(family="mlp", hidden=[16]),
        input=TabularInput(columns=["a"]),
        preprocessing=Preprocessing(mean=[0.0], std=[1.0]),
        classes=["0", "1"],
        parameters=PARAMETERS.get(role, 1210),
        seed=0,
        dataset_digest=DATASET,
        soft_labels_digest="77e0" * 16 if role == "student" else None,
        selection=selection or None,
        curve=[
            CurvePoint(step=int(step), loss=float(loss))
            for step, loss in zip(at, losses, strict=True)
        ],
        weights_sha256="aa" * 32,
    )


def _right(random: np.random.Generator, hardness: np.ndarray, share: float) -> np.ndarray:
    """The easiest rows, with some luck."""
    blurred = hardness + random.normal(0, 0.025, len(hardness))
    return blurred < np.quantile(blurred, share)


def _arm(
    random: np.random.Generator,
    name: ArmName,
    labels: np.ndarray,
    right: np.ndarray,
    classes: list[str],
) -> ArmResult:
    rows = len(labels)
    neighbour = (labels + random.choice([1, 1, 3, 7], rows)) % len(classes)
    neighbour = np.where(neighbour == labels, (labels + 1) % len(classes), neighbour)
    predicted = np.where(right, labels, neighbour)
    floor = 1 / len(classes)
    sure = floor + (1 - floor) * np.where(right, random.beta(9, 0.7, rows), random.beta(3, 2, rows))
    probabilities = np.tile((1 - sure)[:, None] / max(len(classes) - 1, 1), (1, len(classes)))
    probabilities[np.arange(rows), predicted] = sure
    error, bins = calibration(probabilities, labels)
    confusion = confusion_matrix(labels, predicted, len(classes))
    accuracy = float(right.mean())
    p50 = P50_MS.get(name, 0.0066)
    return ArmResult(
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, rows, 0.95),
        rows=rows,
        per_class=per_class(confusion, classes),
        confusion=confusion.tolist(),
        calibration_error=error,
        calibration=bins,
        parameters=PARAMETERS.get(name, 1210),
        size_bytes=BYTES.get(name, 5384),
        latency_ms=Latency(
            p50=Percentile(value=p50, upper=p50 * 1.01),
            p95=Percentile(value=p50 * 1.32, upper=p50 * 1.36),
            p99=Percentile(value=p50 * 1.9, upper=p50 * 2.2),
            calls=3000,
            threads=1,
        ),
        model_digest=(name.encode().hex() * 8)[:64],
        bundle_digest="b" * 64,
    )
