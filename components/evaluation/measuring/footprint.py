"""What a model costs a process that has not run it: cold start and peak memory.

A process of its own imports ONNX Runtime, and forks for every measurement: a fork has the library,
but nothing that a model left behind. This module is its program; it takes a JSON line and
a NumPy array on its standard input, and gives JSON.
"""

import io
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from components.evaluation.measuring.sessions import open_session
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.errors import UserError
from components.shared.results import Footprint

_REPETITIONS = 5
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
"""Unit of ``ru_maxrss``."""


def measure_footprints(
    models: Mapping[str, Path], rows: npt.NDArray[np.float32], threads: int
) -> dict[str, Footprint]:
    """Load every model in a fresh process on the CPU and predict one row, five times in turn.

    The figures are medians. Memory includes the code of ONNX Runtime that a first prediction
    touches, some 15 MB and the same for every model.

    Args:
        models: ONNX file of each model; at least one.
        rows: real rows, float32, shape (rows, \\*input shape); the first one is predicted.
        threads: of ONNX Runtime.

    Raises:
        RuntimeError: a model could not be measured; says which, and how it ended.
    """
    request = {"models": {name: str(path) for name, path in models.items()}, "threads": threads}
    row = io.BytesIO()
    np.save(row, rows[:1])
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(request).encode() + b"\n" + row.getvalue(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            "measuring cold start and memory failed: "
            + (done.stderr.decode(errors="replace").strip() or _ending(done.returncode))
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return {name: Footprint(**figures) for name, figures in found.items()}


def main() -> None:
    """Measure what standard input asks for."""
    request = json.loads(sys.stdin.buffer.readline())
    row = np.load(io.BytesIO(sys.stdin.buffer.read()))
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in request["models"]}
    for _ in range(_REPETITIONS):
        for name, path in request["models"].items():
            runs[name].append(_in_fork(name, Path(path), row, request["threads"]))
    figures = {
        name: {
            "cold_start_ms": statistics.median(milliseconds for milliseconds, _ in found),
            "peak_memory_bytes": round(statistics.median(size for _, size in found)),
        }
        for name, found in runs.items()
    }
    json.dump(figures, sys.stdout)


def _in_fork(
    name: str, path: Path, row: npt.NDArray[np.float32], threads: int
) -> tuple[float, int]:
    """Milliseconds and bytes of one load and prediction, in a child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _measure_and_exit(name, path, row, threads, writer)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.exit(text or f"the {name}: {_ending(code)}")
    milliseconds, size = json.loads(text)
    return milliseconds, size


def _measure_and_exit(
    name: str, path: Path, row: npt.NDArray[np.float32], threads: int, writer: int
) -> NoReturn:
    """In the child: nothing of the parent's may run after this, so it ends without clean-up."""
    status = 1
    try:
        before = _peak_memory()
        start = time.perf_counter_ns()
        open_session(name, path, threads, "cpu").run([OUTPUT_NAME], {INPUT_NAME: row})
        milliseconds = (time.perf_counter_ns() - start) / 1e6
        answer = json.dumps([milliseconds, _peak_memory() - before])
        status = 0
    except UserError as error:
        answer = str(error)
    except Exception as error:  # ONNX Runtime's errors share no other base
        answer = f"the {name}: {error}"
    with os.fdopen(writer, "w") as parent:
        parent.write(answer)
    os._exit(status)


def _peak_memory() -> int:
    """Bytes; that of a fork starts with what it has, not with its parent's peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the process was killed; the machine may have too little memory for the model"
    return f"the process ended with signal {-code}" if code < 0 else f"exit status {code}"


if __name__ == "__main__":
    main()
