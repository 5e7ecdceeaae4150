"""What the evaluation costs beside ONNX Runtime alone, and that its memory does not grow."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from components.evaluation.measuring.deployed import DeployedModel, describe
from components.evaluation.measuring.evaluate import evaluate
from components.evaluation.measuring.scoring import Pass, score_rows
from components.shared.candidates import CandidateDescription, CandidateSet, write_candidates
from components.shared.dataset import MANIFEST, Dataset, DatasetManifest, Shard
from components.shared.deployable import DEPLOYABLE, INPUT_NAME, ONNX_FILE, OUTPUT_NAME, Deployable
from components.shared.files import sha256_file, write_atomically
from components.shared.recipe import EvaluationSpec, TabularInput
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import CHAMPION_RECORD, ChampionRecord
from tests.benchmarks.results import Result, result

ROWS = 1_000_000
FEWER_ROWS = 250_000
REPETITIONS = 3
COLUMNS = [f"x{number}" for number in range(20)]
CLASSES = [str(number) for number in range(10)]
HIDDEN = {"teacher": (1024, 1024), "student": (128, 128)}
DIGEST = "0" * 64
_WRITTEN_AT_ONCE = 50_000


def measure(report: Callable[[str], None]) -> list[Result]:
    """The two rows of the evaluation."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as name:
        folder = Path(name)
        report(f"evaluation: writing {ROWS:,} rows")
        for rows in (ROWS, FEWER_ROWS):
            write_data(folder / f"data-{rows}", rows)
        for model, hidden in HIDDEN.items():
            write_model(folder / model, hidden)
        return [throughput(folder, report), memory(folder, report)]


def throughput(folder: Path, report: Callable[[str], None]) -> Result:
    """Rows a second of the scoring pass, data read from disk, against bare ONNX Runtime."""
    dataset = Dataset.open(folder / f"data-{ROWS}")
    wanted = Pass(
        models={name: opened(folder / name, name, dataset.manifest) for name in HIDDEN},
        teacher="teacher",
        may_break=(),
        slicings=[],
        pairs=[("student", "teacher")],
    )
    inputs = np.random.default_rng(0).normal(size=(ROWS, len(COLUMNS))).astype(np.float32)
    ways = [one_session_a_model(folder), one_thread_a_batch(folder)]
    bare = min(ways, key=lambda run: timed(lambda: run(inputs[: ROWS // 10])))
    ratios = []
    for number in range(1, REPETITIONS + 1):
        report(f"evaluation: throughput, {number} of {REPETITIONS}")
        seconds = timed(lambda: bare(inputs))
        ratios.append(seconds / timed(lambda: score_rows(dataset, wanted)))
        report(f"  {ROWS / seconds:,.0f} rows/s bare, {ratios[-1]:.3f} of it with all metrics")
    sizes = ", ".join(f"{name} {'-'.join(map(str, hidden))}" for name, hidden in HIDDEN.items())
    return result(
        "evaluate_vs_ort",
        ratios,
        "ratio",
        0.85,
        f"rows/s of the scoring pass over {ROWS:,} rows of Parquet with {len(COLUMNS)} columns and "
        f"{len(CLASSES)} classes (MLPs, hidden units: {sizes}) against session.run alone on "
        "batches in memory, by all threads of one session or one session thread a batch, whichever "
        "is faster",
        better="higher",
    )


def memory(folder: Path, report: Callable[[str], None]) -> Result:
    """Peak memory of an evaluation with slices, of many rows against fewer."""
    ratios = []
    for number in range(1, REPETITIONS + 1):
        report(f"evaluation: memory, {number} of {REPETITIONS}")
        many, fewer = (peak_memory(folder, rows) for rows in (ROWS, FEWER_ROWS))
        report(f"  {many / 2**20:.0f} MB for {ROWS:,} rows, {fewer / 2**20:.0f} MB for fewer")
        ratios.append(many / fewer)
    return result(
        "evaluate_memory_growth",
        ratios,
        "ratio",
        1.2,
        f"peak memory of evaluating {ROWS:,} rows against {FEWER_ROWS:,}, with two slice columns, "
        "each in a process of its own",
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_session_a_model(folder: Path) -> Callable[[np.ndarray], None]:
    """ONNX Runtime as it comes: all cores work on one batch."""
    sessions = [ort.InferenceSession(folder / name / ONNX_FILE) for name in HIDDEN]

    def run(inputs: np.ndarray) -> None:
        for batch in batches(inputs):
            for session in sessions:
                session.run([OUTPUT_NAME], {INPUT_NAME: batch})

    return run


def one_thread_a_batch(folder: Path) -> Callable[[np.ndarray], None]:
    """Every core works on a batch of its own."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [ort.InferenceSession(folder / name / ONNX_FILE, options) for name in HIDDEN]

    def on_batch(batch: np.ndarray) -> None:
        for session in sessions:
            session.run([OUTPUT_NAME], {INPUT_NAME: batch})

    def run(inputs: np.ndarray) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(on_batch, batches(inputs)):
                pass

    return run


def batches(inputs: np.ndarray, size: int = 1024) -> Sequence[np.ndarray]:
    """Views of successive rows."""
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def opened(folder: Path, name: str, manifest: DatasetManifest) -> DeployedModel:
    """A model as the evaluation opens it."""
    return DeployedModel.open(name, folder, describe(name, folder, manifest), "cpu", 1)


def peak_memory(folder: Path, rows: int) -> int:
    """Bytes at the peak of a process that evaluates ``rows`` rows."""
    command = [sys.executable, "-m", __name__, str(folder), str(rows)]
    done = subprocess.run(command, capture_output=True, check=True)
    return int(json.loads(done.stdout))


def evaluate_and_report(folder: Path, rows: int) -> None:
    """What the process of :func:`peak_memory` does."""
    candidates, champion = folder / "candidates", folder / "champion"
    if not candidates.exists():
        write_model(candidates / "float32", HIDDEN["student"])
        one = CandidateDescription(name="float32", how="as trained", agreement=1.0)
        write_candidates(candidates, CandidateSet(candidates=[one], skipped=[]))
        none = ChampionRecord(state="first_model", version=None)
        write_atomically(champion / CHAMPION_RECORD, none.model_dump_json())
    student = folder / "student"
    evaluate(
        folder / f"data-{rows}",
        {"teacher": folder / "teacher", "hard_label": student, "pseudo_label": student},
        candidates,
        champion,
        EvaluationSpec(latency=LatencySpec(budget_s=1, attempts=1)),
    )
    print(json.dumps(peak_of_this_process()))


def peak_of_this_process() -> int:
    """Bytes, from Linux; ``getrusage`` would count what the parent held when it forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def write_data(folder: Path, rows: int) -> None:
    """A resolved data set of test rows in one Parquet file."""
    folder.mkdir(parents=True)
    path = folder / "rows.parquet"
    generator = np.random.default_rng(0)
    floats = [(name, pa.float32()) for name in COLUMNS]
    texts = [(name, pa.string()) for name in ("id", "label", "split", "region")]
    with pq.ParquetWriter(path, pa.schema([*texts, *floats])) as writer:
        for start in range(0, rows, _WRITTEN_AT_ONCE):
            count = min(_WRITTEN_AT_ONCE, rows - start)
            columns = {
                "id": [f"row-{start + number}" for number in range(count)],
                "label": generator.choice(CLASSES, count),
                "split": ["test"] * count,
                "region": generator.choice(["north", "south", "west"], count),
            }
            values = generator.normal(size=(len(COLUMNS), count)).astype(np.float32)
            columns |= dict(zip(COLUMNS, values, strict=True))
            writer.write_table(pa.table(columns, schema=writer.schema), count)
    shard = Shard(path=path.name, rows=rows, bytes=path.stat().st_size, sha256=sha256_file(path))
    manifest = DatasetManifest(
        source=str(path),
        id="id",
        label="label",
        input=TabularInput(columns=COLUMNS),
        classes=CLASSES,
        column_types={},
        slices=["region", COLUMNS[0]],
        shards=[shard],
        assignment=None,
        split_column="split",
        split_seed=None,
        rows={"labelled": 0, "unlabelled": 0, "test": rows},
        digest=DIGEST,
    )
    write_atomically(folder / MANIFEST, manifest.model_dump_json())


def write_model(folder: Path, hidden: Sequence[int]) -> None:
    """A deployable folder with a random multi-layer perceptron."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    widths = [len(COLUMNS), *hidden, len(CLASSES)]
    weights = [
        (generator.normal(size=shape) * np.sqrt(2 / shape[0])).astype(np.float32)
        for shape in pairwise(widths)
    ]
    nodes, at = [], INPUT_NAME
    for layer in range(len(weights)):
        nodes.append(helper.make_node("Gemm", [at, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"r{layer}"]))
        at = f"r{layer}"
    nodes[-1] = helper.make_node("Softmax", [f"h{len(weights) - 1}"], [OUTPUT_NAME])
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["rows", widths[0]])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["rows", widths[-1]])],
        [numpy_helper.from_array(values, f"w{layer}") for layer, values in enumerate(weights)],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, folder / ONNX_FILE)
    description = Deployable(
        role="student",
        input=TabularInput(columns=COLUMNS),
        classes=CLASSES,
        parameters=sum(values.size for values in weights),
        dataset_digest=DIGEST,
        bundle_digest=DIGEST,
        teacher_digest=None,
        max_difference=0.0,
        checked_rows=1,
        onnx_sha256=sha256_file(folder / ONNX_FILE),
    )
    write_atomically(folder / DEPLOYABLE, description.model_dump_json())


if __name__ == "__main__":
    evaluate_and_report(Path(sys.argv[1]), int(sys.argv[2]))
