"""Realistic results for tests of the report: metrics of drawn predictions, latencies of a drawn
machine."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import report_draws as draw

from components.evaluation.diagnosis.diagnose import diagnose
from components.evaluation.diagnosis.measured import Measured
from components.evaluation.judging.gates import decide
from components.evaluation.reporting.report import ReportContext
from components.shared.bundle import (
    Candidate,
    CurvePoint,
    Fit,
    Followed,
    ModelBundle,
    Selection,
)
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.gates import Gates
from components.shared.recipe.inputs import TabularInput
from components.shared.recipe.models import CnnSpec, MlpSpec
from components.shared.results import (
    ArmName,
    ArmResult,
    CandidateResult,
    ChampionRecord,
    Decision,
    Evaluation,
    Noise,
    SkippedCandidate,
)

ROWS = 797
DATASET = "4b1d" * 16
ACCURACY: dict[ArmName, float] = {
    "teacher": 0.962,
    "student": 0.951,
    "hard_label": 0.905,
    "pseudo_label": 0.949,
}
CANDIDATES = {
    "float32": ("the student as it was trained", 0.951),
    "float16": ("weights and arithmetic in half precision", 0.9515),
    "int8_dynamic": ("int8 weights, activations quantised at every call", 0.948),
    "int8_static": ("int8 weights and activations, 512 calibration rows", 0.9475),
}
SKIPPED = SkippedCandidate(
    name="pruned_channels_50_int8",
    reason="Its hidden layer would have fewer units than there are classes.",
)
GATES: dict[str, object] = {
    "accuracy": {"min": 0.9},
    "retention": {"min": 0.93},
    "champion": {"max_regression": 0.02},
    "hard_label": {"min_gain": 0},
    "latency": {"p95_ms": 1},
    "size": {"max_bytes": 50_000},
}
RECIPE: dict[str, Any] = {
    "name": "digits",
    "seed": 0,
    "data": {"uri": "builtin://digits", "split": {"by": "random", "labelled": 100, "test": 797}},
    "student": {"model": {"family": "mlp", "hidden": [16]}, "training": {"steps": [400, 1600]}},
    "distillation": {"temperature": [2, 1], "weight": [0.9, 1.0]},
    "compression": {"candidates": [{"kind": name} for name in CANDIDATES]},
    "gates": GATES,
    "registry": {"model": "digits-student", "alias": "champion"},
}
CONTEXT = ReportContext(
    recipe=RECIPE,
    run_id="20261122-134100-3f9c",
    source="builtin://digits",
    created=datetime(2026, 11, 22, 13, 41, tzinfo=UTC),
    versions={"ONNX Runtime": "1.31.1", "kubedistill": "0.1.0"},
)
FIRST = ChampionRecord(state="first_model", version=None)


def make_evaluation(
    accuracy: dict[ArmName, float] = ACCURACY,
    classes: list[str] | None = None,
    champion_version: str | None = None,
    champion_dataset: str | None = None,
    rows: int = ROWS,
    candidates: tuple[str, ...] = ("float32",),
    skipped: tuple[SkippedCandidate, ...] = (),
    sliced: bool = False,
    noise: float = 0.04,
    conditions: tuple[tuple[int, int], ...] = ((1, 1),),
) -> Evaluation:
    """Models that are right on about as many rows as is asked for, mostly on the same rows.

    Args:
        accuracy: by arm.
        classes: their names.
        champion_version: the champion's version, if it is among the arms.
        champion_dataset: digest of the data that the champion was trained on.
        rows: test rows.
        candidates: names out of :data:`CANDIDATES`.
        skipped: candidates that could not be made.
        sliced: whether metrics are broken down by two columns.
        noise: how much the machine drifted.
        conditions: batch sizes with threads.
    """
    classes = classes or [str(digit) for digit in range(10)]
    random = np.random.default_rng(7)
    labels = np.arange(rows) % len(classes)
    hardness = random.random(rows)
    right = {str(name): draw.right(random, hardness, share) for name, share in accuracy.items()}
    right |= {
        name: right["student"]
        if name == "float32"
        else draw.right(random, hardness, accuracy["student"] + CANDIDATES[name][1] - 0.951)
        for name in candidates
    }
    columns = draw.columns(random, hardness) if sliced else {}
    drift = np.exp(np.cumsum(random.normal(0, noise, draw.SEGMENTS)))

    def arm(name: str) -> ArmResult:
        predicted = draw.predicted(random, labels, right[name], len(classes))
        probabilities = draw.probabilities(random, right[name], predicted, len(classes))
        return draw.arm(name, labels, probabilities, classes, columns).model_copy(
            update={"latency": [draw.latency(random, name, drift, *one) for one in conditions]}
        )

    arms = {name: arm(name) for name in accuracy}
    evaluation = Evaluation(
        dataset_digest=DATASET,
        classes=classes,
        rows=rows,
        confidence=0.95,
        arms=arms,
        paired=draw.paired(right, "student", accuracy),
        candidates=[
            CandidateResult(
                name=name,
                how=CANDIDATES[name][0],
                measured=arms["student"] if name == "float32" else arm(name),
                paired=draw.paired(right, name, accuracy),
            )
            for name in candidates
        ],
        skipped=list(skipped),
        noise=Noise(
            drift=3 * noise, preempted=noise / 4, limit=0.25, attempts=3 if noise > 0.08 else 1
        ),
        champion_state="present" if champion_version else "first_model",
        champion_version=champion_version,
        champion_dataset_digest=champion_dataset,
        teacher_lead=draw.paired(right, "teacher", ["hard_label"])["hard_label"],
    )
    split = {"labelled": 100, "unlabelled": 900, "test": rows}
    measured = Measured.of(evaluation, split, make_bundles()["student"], None)
    return evaluation.model_copy(update={"diagnosis": diagnose(measured)})


def with_champion(dataset: str | None = DATASET, **changed: Any) -> Evaluation:
    """The example with version 3 as champion, trained on the given data set."""
    accuracy: dict[ArmName, float] = {**ACCURACY, "champion": 0.947}
    return make_evaluation(accuracy, champion_version="3", champion_dataset=dataset, **changed)


def full(**changed: Any) -> Evaluation:
    """Everything at once: four candidates and one left out, champion, slices, other conditions."""
    arguments = {
        "dataset": "ee" * 32,
        "candidates": tuple(CANDIDATES),
        "skipped": (SKIPPED,),
        "sliced": True,
        "conditions": ((1, 1), (1, 2), (64, 1), (64, 2)),
    }
    return with_champion(**arguments | changed)


def changed(evaluation: Evaluation, **fields: Any) -> Evaluation:
    """The same evaluation with some fields of the float32 student changed."""
    student = evaluation.arms["student"].model_copy(update=fields)
    candidates = [
        one.model_copy(update={"measured": student}) if one.name == "float32" else one
        for one in evaluation.candidates
    ]
    arms = {**evaluation.arms, "student": student}
    return evaluation.model_copy(update={"arms": arms, "candidates": candidates})


def champion_record(**changed: Any) -> ChampionRecord:
    """What is known of version 3."""
    recipe = {
        **RECIPE,
        "seed": 3,
        "distillation": {"temperature": [4], "weight": [0.9, 1.0]},
        "compression": {"candidates": [{"kind": "float32"}]},
    }
    fields = {
        "state": "present",
        "version": "3",
        "promoted_at": datetime(2026, 9, 3, 8, 2, tzinfo=UTC),
        "run_id": "20260903-080211-77aa",
        "dataset_digest": "ee" * 32,
        "teacher_digest": make_bundles()["teacher"].digest,
        "recipe": recipe,
    }
    return ChampionRecord.model_validate(fields | changed)


def make_decision(evaluation: Evaluation, gates: dict[str, object] = GATES) -> Decision:
    """By the gates of the digits recipe, or others."""
    return decide(evaluation, Gates.model_validate(gates))


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
            fitted=0.955 + s / 80_000,
            ahead=2,
            behind=3,
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
        held_out=150 if role == "student" else None,
        fitted=150 if role == "student" else None,
    )
    fit = Fit(
        labelled=Followed(rows=100, agreeing=99, confidence=0.991),
        unlabelled=Followed(rows=900, agreeing=872, confidence=0.948),
    )
    return ModelBundle(
        role=role,
        model=CnnSpec(family="cnn", hidden=32)
        if role == "teacher"
        else MlpSpec(family="mlp", hidden=[16]),
        input=TabularInput(columns=["a"]),
        preprocessing=Preprocessing(mean=[0.0], std=[1.0]),
        classes=["0", "1"],
        parameters=draw.PARAMETERS.get(role, 1210),
        seed=0,
        dataset_digest=DATASET,
        soft_labels_digest="77e0" * 16 if role == "student" else None,
        selection=selection or None,
        curve=[
            CurvePoint(step=int(step), loss=float(loss))
            for step, loss in zip(at, losses, strict=True)
        ],
        fit=fit if role == "student" else None,
        weights_sha256="aa" * 32,
    )
