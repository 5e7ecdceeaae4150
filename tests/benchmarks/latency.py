"""Benchmark rows of the latency that gates judge: true to ONNX Runtime, and cheap."""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from components.evaluation.measuring.latency import measure_sessions, summarise
from components.evaluation.measuring.sessions import open_session
from components.evaluation.measuring.turns import Feed
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from tests.benchmarks.results import Result, result
from tests.evaluation.measuring.onnx_files import write_layers

REPETITIONS = 9
SECONDS = 1.0
BLOCKS = 80
"""Of the bare loop."""
INPUTS = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)


class Empty:
    """A session that does nothing."""

    def run(self, output_names: list[str], input_feed: Feed) -> None:
        """Predict nothing."""


def measure() -> list[Result]:
    """Compare our median with a bare loop's, and time calls that do nothing."""
    return [latency_vs_ort(), latency_overhead()]


def latency_vs_ort() -> Result:
    """Our p50 and a bare loop's, in turn."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as folder:
        path = write_layers(Path(folder) / "model.onnx", [64, 256, 256, 10])
        session = open_session("student", path, 1, "cpu")
        differences = []
        for _ in range(REPETITIONS):
            trace = measure_sessions({"student": session}, INPUTS, 1, SECONDS, 0.01, 0.95)
            ours = summarise(trace.nanoseconds["student"], 1, 1, 0.95).p50.value
            differences.append(abs(ours / bare_loop(session) - 1))
    return result(
        "latency_vs_ort",
        differences,
        "fraction",
        0.10,
        "how far our p50 is from a bare loop over session.run of the same model and rows, in turn",
    )


def bare_loop(session: ort.InferenceSession) -> float:
    """Milliseconds of a call: the median of blocks of 100, with the clock outside of them."""
    feeds = [{INPUT_NAME: INPUTS[row : row + 1]} for row in range(len(INPUTS))]
    blocks = []
    for block in range(BLOCKS):
        first = block * 100 % len(feeds)
        start = time.perf_counter()
        for feed in feeds[first : first + 100]:
            session.run([OUTPUT_NAME], feed)
        blocks.append((time.perf_counter() - start) * 1e3 / 100)
    return statistics.median(blocks)


def latency_overhead() -> Result:
    """What measuring adds to a call: the time of one that does nothing, all clocks included."""
    overheads = []
    for _ in range(REPETITIONS):
        trace = measure_sessions({"empty": Empty()}, INPUTS, 1, 0.2, 0.01, 0.95)
        overheads.append(trace.wall_ns / trace.nanoseconds["empty"].size / 1e3)
    return result(
        "latency_overhead_us",
        overheads,
        "us",
        2.0,
        "wall time of a counted call of a session that does nothing",
    )
