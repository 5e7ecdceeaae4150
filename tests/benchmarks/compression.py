"""What compression gains on a student of a million parameters: the recipe ``mnist``.

Runs the pipeline's own steps up to the candidates, then times all of them in turn in one process,
so that a machine that drifts is the same for each.
"""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from components.compression.steps import compress
from components.data_validation.resolve import resolve
from components.shared.candidates import REFERENCE
from components.shared.dataset import Dataset, Rows
from components.shared.deployable import INPUT_NAME, ONNX_FILE
from components.shared.recipe import Recipe, load_recipe
from components.soft_labels.steps import generate_soft_labels
from components.training.steps import train_student, train_teacher
from tests.benchmarks.results import Result, result

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "mnist.yaml"
REPETITIONS = 5
CALLS = {1: 100, 64: 10}
"""Calls of every model in one repetition, by rows in a call."""
INT8 = "int8_static"
LEAST_ACCURACY = 0.9
"""Of float32: an untrained student would lose nothing by compression."""


@dataclass(frozen=True)
class Measured:
    """One candidate."""

    size_bytes: int
    accuracy: float
    """On the test rows, 0 to 1."""
    milliseconds: dict[int, list[float]]
    """Median latency of each repetition on one thread, by rows in a call."""

    def speedup_over(self, other: "Measured", rows: int) -> list[float]:
        """How many times as fast, in each repetition."""
        pairs = zip(other.milliseconds[rows], self.milliseconds[rows], strict=True)
        return [theirs / ours for theirs, ours in pairs]


def make_candidates(recipe: Recipe, folder: Path) -> Rows:
    """Run the steps of the pipeline as far as ``folder / "candidates"``; return the test rows."""
    dataset, teacher, student = (folder / name for name in ("dataset", "teacher", "student"))
    digest = resolve(recipe.data, dataset).digest
    sections = recipe.model_dump(mode="json", exclude_none=True)
    teacher_digest = train_teacher(
        dataset, digest, sections["teacher"], recipe.seed, teacher
    ).digest
    store = folder / "labels"
    manifest = generate_soft_labels(dataset, digest, teacher, teacher_digest, {}, "", store)
    labels = (store, manifest.identity.digest)
    student_digest = train_student(
        dataset,
        digest,
        str(store),
        manifest.identity.digest,
        "student",
        sections["student"],
        sections["distillation"],
        recipe.seed,
        student,
    ).digest
    compress(
        dataset,
        digest,
        labels,
        labels,
        {"teacher": (teacher, teacher_digest), "student": (student, student_digest)},
        sections["student"],
        sections["compression"],
        recipe.seed,
        folder / "candidates",
        {},
    )
    return Dataset.open(dataset, digest).load("test")


def measure_candidates(candidates: Path, test: Rows) -> dict[str, Measured]:
    """Size, accuracy and latency of every candidate, by name."""
    models = {file.parent.name: file for file in sorted(candidates.glob(f"*/{ONNX_FILE}"))}
    sessions = {name: _session(model) for name, model in models.items()}
    times = {rows: _interleaved(sessions, test.inputs[:rows], CALLS[rows]) for rows in CALLS}
    return {
        name: Measured(
            size_bytes=model.stat().st_size,
            accuracy=_accuracy(sessions[name], test),
            milliseconds={rows: times[rows][name] for rows in CALLS},
        )
        for name, model in models.items()
    }


def _session(model: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _accuracy(session: ort.InferenceSession, test: Rows) -> float:
    (probabilities,) = session.run(None, {INPUT_NAME: test.inputs})
    return float((probabilities.argmax(axis=1) == test.labels).mean())


def _interleaved(
    sessions: dict[str, ort.InferenceSession], inputs: npt.NDArray[np.float32], calls: int
) -> dict[str, list[float]]:
    medians: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(REPETITIONS):
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(calls):
            for name, session in sessions.items():
                started = time.perf_counter()
                session.run(None, {INPUT_NAME: inputs})
                seconds[name].append(time.perf_counter() - started)
        for name, values in seconds.items():
            medians[name].append(1000 * statistics.median(values))
    return medians


def table(measured: dict[str, Measured]) -> str:
    """All candidates against float32, one line each."""
    reference = measured[REFERENCE]
    lines = [
        f"{'candidate':<20}{'bytes':>10}{'smaller':>9}{'faster, 1 and 64 rows':>24}{'accuracy':>10}"
    ]
    for name, found in measured.items():
        faster = [statistics.median(found.speedup_over(reference, rows)) for rows in CALLS]
        lines.append(
            f"{name:<20}{found.size_bytes:>10,}{reference.size_bytes / found.size_bytes:>8.2f}x"
            f"{faster[0]:>14.2f}x{faster[1]:>8.2f}x{found.accuracy:>10.3f}"
        )
    return "\n".join(lines)


def figures(measured: dict[str, Measured]) -> list[Result]:
    """The rows for int8 of the table of benchmarks."""
    reference, int8 = measured[REFERENCE], measured[INT8]
    points = 100 * (reference.accuracy - int8.accuracy)
    if reference.accuracy < LEAST_ACCURACY:
        raise RuntimeError(f"the student learned nothing: its accuracy is {reference.accuracy:.3f}")
    return [
        result(
            "int8_speedup",
            int8.speedup_over(reference, rows=1),
            "ratio",
            1.5,
            "float32 against int8_static of the recipe mnist, single rows on one thread, in turn",
            better="higher",
        ),
        result(
            "int8_size_ratio",
            [reference.size_bytes / int8.size_bytes],
            "ratio",
            3.5,
            "bytes of the float32 ONNX file against those of int8_static",
            better="higher",
        ),
        result(
            "int8_points_lost",
            [points],
            "points",
            0.5,
            f"accuracy of float32 ({reference.accuracy:.3f}) minus that of int8_static, test rows",
        ),
    ]


def measure(report: Callable[[str], None]) -> list[Result]:
    """Train, compress, and compare; the table of all candidates goes to ``report``."""
    report("compression: training teacher and student of the recipe mnist")
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as folder:
        with contextlib.redirect_stdout(io.StringIO()):  # the steps' events
            test = make_candidates(load_recipe(RECIPE), Path(folder))
        measured = measure_candidates(Path(folder) / "candidates", test)
    report(table(measured))
    return figures(measured)


if __name__ == "__main__":
    for row in measure(print):
        print(row)
