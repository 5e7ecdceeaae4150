"""Latency of single rows, measured for all models in turn."""

import gc
import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from components.evaluation.bounds import quantile, quantile_upper_bound
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.recipe.gates import EvaluationSpec
from components.shared.results import ArmName, Latency, Percentile

_BLOCK = 20
"""Counted calls of one model before the next one's turn."""
_SETTLE = 5
"""Uncounted calls at the start of each turn, which bring the model back into the CPU's caches."""
_NS_PER_MS = 1e6

Feed = dict[str, npt.NDArray[np.float32]]


def measure(
    sessions: Mapping[ArmName, ort.InferenceSession],
    inputs: npt.NDArray[np.float32],
    spec: EvaluationSpec,
) -> dict[ArmName, Latency]:
    """Time single-row calls of every session.

    The models take turns in small blocks, and the order rotates from round to round, so that a
    drift of the machine (frequency, neighbours) meets all of them alike. Each call gets another
    row, and every model gets the same rows.

    Args:
        sessions: ONNX Runtime sessions with ``spec.threads`` threads.
        inputs: real rows, float32, shape (rows, \\*input shape), at least one.
        spec: calls, warm-up and level of the confidence bounds.
    """
    feeds = [{INPUT_NAME: inputs[row : row + 1]} for row in _spread(len(inputs), spec.calls)]
    arms = list(sessions)
    rows = {arm: itertools.cycle(feeds) for arm in arms}
    samples: dict[ArmName, list[int]] = {arm: [] for arm in arms}
    for arm in arms:
        _time_calls(sessions[arm], rows[arm], spec.warmup)
    with _without_garbage_collection():
        for round_ in range(-(-spec.calls // _BLOCK)):
            first = round_ % len(arms)
            for arm in arms[first:] + arms[:first]:
                _time_calls(sessions[arm], rows[arm], _SETTLE)
                calls = min(_BLOCK, spec.calls - len(samples[arm]))
                samples[arm] += _time_calls(sessions[arm], rows[arm], calls)
    return {arm: summarise(samples[arm], spec) for arm in arms}


def summarise(nanoseconds: list[int], spec: EvaluationSpec) -> Latency:
    """Percentiles in milliseconds, with their upper confidence bounds."""
    ordered = sorted(value / _NS_PER_MS for value in nanoseconds)
    p50, p95, p99 = (
        Percentile(
            value=quantile(ordered, share),
            upper=quantile_upper_bound(ordered, share, spec.confidence),
        )
        for share in (0.50, 0.95, 0.99)
    )
    return Latency(p50=p50, p95=p95, p99=p99, calls=len(ordered), threads=spec.threads)


def _time_calls(session: ort.InferenceSession, feeds: Iterator[Feed], calls: int) -> list[int]:
    """Nanoseconds of each of ``calls`` calls; nothing but the call is between the clock's ticks."""
    run, clock, outputs = session.run, time.perf_counter_ns, [OUTPUT_NAME]
    durations = []
    for feed in itertools.islice(feeds, calls):
        start = clock()
        run(outputs, feed)
        durations.append(clock() - start)
    return durations


def _spread(rows: int, most: int) -> list[int]:
    """At most ``most`` row numbers, evenly over all rows."""
    count = min(rows, most)
    return [position * rows // count for position in range(count)]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
