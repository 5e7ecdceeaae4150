"""The artifacts of a small pipeline run, written with real ONNX files and a real data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from components.registration.steps import Inputs
from components.shared.bundle import (
    BUNDLE,
    Candidate,
    CurvePoint,
    ModelBundle,
    Selection,
)
from components.shared.dataset import MANIFEST, DatasetManifest, Shard
from components.shared.deployable import DEPLOYABLE, EXAMPLE, ONNX_FILE, Deployable
from components.shared.files import digest_of, sha256_bytes, sha256_file, write_atomically
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import ImageInput, MlpSpec, Recipe
from components.shared.results import (
    ArmResult,
    CandidateDecision,
    CandidateResult,
    Check,
    ClassResult,
    Decision,
    Estimate,
    Evaluation,
    Footprint,
    Latency,
    Noise,
    PairedCounts,
    Percentile,
)
from components.shared.results.profile import DATA_PROFILE, DataProfile

CANDIDATE = "int8_static"
CLASSES = ["a", "b", "c"]
IMAGE = ImageInput(kind="image", column="image", size=[1, 2, 2])
ROWS = np.arange(24, dtype=np.float32).reshape(6, 1, 2, 2)
ACCURACY = {"teacher": 0.95, "student": 0.94, "hard_label": 0.90, "pseudo_label": 0.93}
CHAMPION_ACCURACY = 0.88
REGISTRY = {"model": "tiny-student"}
RECIPE = {
    "name": "tiny",
    "data": {"uri": "rows.parquet", "input": {"kind": "image", "size": [1, 2, 2]}},
    "teacher": {
        "source": "train",
        "model": {"family": "mlp", "hidden": [8]},
        "training": {"steps": 10},
    },
    "student": {"model": {"family": "mlp", "hidden": [2]}, "training": {"steps": [5, 10]}},
    "gates": {"accuracy": {"min": 0.9}},
    "registry": REGISTRY,
}


@dataclass(frozen=True)
class PipelineRun:
    """Artifacts of one pipeline run, and its identity."""

    run_id: str
    inputs: Inputs
    output: Path

    @property
    def student(self) -> Path:
        return self.inputs.candidates / CANDIDATE

    @property
    def onnx(self) -> bytes:
        return (self.student / ONNX_FILE).read_bytes()

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(self.onnx)
        return session.run(None, {"input": rows})[0]


def write_pipeline_run(
    folder: Path,
    run_id: str,
    *,
    verdict: str = "promote",
    champion: str | None = None,
    seed: int = 0,
    recipe: dict[str, object] = RECIPE,
    beside: PipelineRun | None = None,
    shift: float = 0.0,
) -> PipelineRun:
    """Write everything that the registration step reads.

    ``seed`` makes another student, ``shift`` other data; ``beside`` is the run whose student is
    measured as the champion.
    """
    dataset_digest = _write_dataset(folder / "dataset", ROWS + np.float32(shift))
    _write_profile(folder / "validation", dataset_digest)
    bundles = {arm: _bundle(folder / arm, arm, dataset_digest, seed) for arm in ACCURACY}
    student_digest = _write_deployable(
        folder / "candidates" / CANDIDATE, bundles, dataset_digest, seed
    )
    champion_digest = sha256_bytes(beside.onnx) if beside else None
    _write_results(folder, dataset_digest, student_digest, verdict, champion, champion_digest)
    (folder / "report").write_text("<!doctype html><title>report</title>")
    write_atomically(
        folder / "recipe", Recipe.model_validate(recipe).model_dump_json(exclude_none=True)
    )
    inputs = Inputs(
        recipe=folder / "recipe",
        dataset=folder / "dataset",
        validation=folder / "validation",
        decision=folder / "decision",
        evaluation=folder / "evaluation",
        report=folder / "report",
        candidates=folder / "candidates",
        bundles={arm: folder / arm for arm in ACCURACY},
    )
    return PipelineRun(run_id, inputs, folder / "registration")


def _write_profile(folder: Path, dataset_digest: str) -> None:
    profile = DataProfile(
        dataset_digest=dataset_digest,
        rows=len(ROWS),
        sampled=len(ROWS),
        columns=[],
        hidden=[],
        classes=dict.fromkeys(CLASSES, 2),
    )
    write_atomically(folder / DATA_PROFILE, profile.model_dump_json())


def _write_dataset(folder: Path, rows: np.ndarray) -> str:
    folder.mkdir(parents=True)
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(len(rows))],
            "label": [CLASSES[i % 3] for i in range(len(rows))],
            "image": [row.ravel().tolist() for row in rows],
            "split": ["labelled", "unlabelled", "unlabelled", "test", "test", "test"],
        }
    )
    path = folder / "rows.parquet"
    pq.write_table(table, path)
    shard = Shard(
        path=path.name, rows=len(rows), bytes=path.stat().st_size, sha256=sha256_file(path)
    )
    manifest = DatasetManifest(
        source="rows.parquet",
        id="id",
        label="label",
        input=IMAGE,
        classes=CLASSES,
        column_types={"id": "string", "label": "string", "image": "list<element: double>"},
        shards=[shard],
        assignment=None,
        split_column="split",
        split_seed=None,
        rows={"labelled": 1, "unlabelled": 2, "test": 3},
        digest=digest_of([shard.sha256]),
    )
    write_atomically(folder / MANIFEST, manifest.model_dump_json())
    return manifest.digest


def _bundle(folder: Path, arm: str, dataset_digest: str, seed: int) -> ModelBundle:
    candidates = [
        Candidate(steps=5, temperature=2.0, weight=0.9, score=0.8, standard_error=0.01),
        Candidate(steps=10, temperature=1.0, weight=1.0, score=0.9, standard_error=0.01),
    ]
    bundle = ModelBundle(
        role=arm,
        model=MlpSpec(family="mlp", hidden=[2]),
        input=IMAGE,
        preprocessing=Preprocessing(mean=[0.0], std=[1.0]),
        classes=CLASSES,
        parameters=19,
        seed=seed,
        dataset_digest=dataset_digest,
        soft_labels_digest=None,
        selection=None
        if arm == "teacher"
        else Selection(judge="agreement", candidates=candidates, chosen=1),
        curve=[CurvePoint(step=step, loss=1 / step) for step in (5, 10)],
        weights_sha256=sha256_bytes(b"weights"),
    )
    write_atomically(folder / BUNDLE, bundle.model_dump_json())
    write_atomically(folder / "model.safetensors", b"weights")
    return bundle


def _write_deployable(
    folder: Path, bundles: dict[str, ModelBundle], dataset_digest: str, seed: int
) -> str:
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "student",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", 1, 2, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save_model(
        helper.make_model(graph, opset_imports=[opset], ir_version=10), folder / ONNX_FILE
    )
    # A field that a parser may write elsewhere: only a copy of the bytes stays the same file.
    with (folder / ONNX_FILE).open("ab") as file:
        file.write(b"\x2a\x03one")
    digest = sha256_file(folder / ONNX_FILE)
    deployable = Deployable(
        role="student",
        input=IMAGE,
        classes=CLASSES,
        parameters=19,
        dataset_digest=dataset_digest,
        bundle_digest=bundles["student"].digest,
        teacher_digest=bundles["teacher"].digest,
        max_difference=1e-7,
        checked_rows=3,
        onnx_sha256=digest,
        onnxruntime=onnxruntime.__version__,
    )
    np.save(folder / EXAMPLE, ROWS[3:4])
    write_atomically(folder / DEPLOYABLE, deployable.model_dump_json())
    return digest


def _write_results(
    folder: Path,
    dataset_digest: str,
    student_digest: str,
    verdict: str,
    champion: str | None,
    champion_digest: str | None,
) -> None:
    arms = {arm: _arm(accuracy, arm) for arm, accuracy in ACCURACY.items()}
    paired = {}
    if champion_digest:
        arms["champion"] = _arm(CHAMPION_ACCURACY, champion_digest)
        paired["champion"] = PairedCounts(both=1, only_student=2, only_other=0, neither=0)
    evaluation = Evaluation(
        dataset_digest=dataset_digest,
        classes=CLASSES,
        rows=3,
        confidence=0.95,
        arms=arms,
        paired={"teacher": PairedCounts(both=2, only_student=0, only_other=1, neither=0)},
        candidates=[
            CandidateResult(
                name=CANDIDATE, how="int8", measured=_arm(0.93, student_digest), paired=paired
            )
        ],
        skipped=[],
        noise=Noise(drift=0.1, preempted=0.0, limit=0.25, attempts=1),
        champion_state="present" if champion else "first_model",
        champion_version=champion,
    )
    check = Check(
        gate="gates.accuracy.min",
        observed=0.94,
        bound=0.92,
        threshold=0.9,
        direction="at least",
        passed=verdict == "promote",
        reason="the accuracy is high enough",
    )
    decision = Decision(
        verdict=verdict,
        summary=f"{verdict}: one gate was judged",
        candidate=CANDIDATE,
        checks=[check],
        candidates=[CandidateDecision(name=CANDIDATE, passed=verdict == "promote", checks=[check])],
        confidence=0.95,
        power=None,
        warnings=[],
        dataset_digest=dataset_digest,
        student_digest=student_digest,
        champion_version=champion,
    )
    write_atomically(folder / "evaluation", evaluation.model_dump_json())
    write_atomically(folder / "decision", decision.model_dump_json())


def _arm(accuracy: float, digest: str) -> ArmResult:
    percentile = Percentile(value=0.02, lower=0.01, upper=0.03, segments=[0.01, 0.02, 0.03])
    error = float("nan") if digest == "hard_label" else 0.05
    return ArmResult(
        rows=3,
        metrics={
            "accuracy": Estimate(
                value=accuracy,
                centre=accuracy,
                standard_error=0.01,
                lower=accuracy - 0.02,
                upper=accuracy + 0.02,
            ),
            "calibration_error": Estimate(
                value=error, centre=error, standard_error=error, lower=error, upper=error
            ),
        },
        per_class=[ClassResult(name="a", rows=1, precision=None, recall=1.0, f1=None)],
        confusion=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        calibration=[],
        roc=[],
        slices=[],
        parameters=19,
        size_bytes=400,
        latency=[
            Latency(
                batch_size=1,
                threads=1,
                p50=percentile,
                p95=percentile,
                p99=percentile,
                calls=100,
                throughput=50_000,
            )
        ],
        footprint=Footprint(cold_start_ms=1.5, peak_memory_bytes=1_000_000),
        model_digest=digest,
        bundle_digest="b" * 64,
    )
