"""Latency of ONNX files in ONNX Runtime, under every condition of the recipe."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.evaluation.latency_bounds import median_interval, segment_percentiles
from components.evaluation.measuring import noise
from components.evaluation.measuring.sessions import open_session
from components.evaluation.measuring.turns import Feed, Session, Trace, take_turns
from components.shared.deployable import INPUT_NAME
from components.shared.recipe.evaluation import LatencySpec
from components.shared.results import Latency, Noise, Percentile

_FEEDS = 397
"""Different batches that models are called with, where there are so many rows. A prime, so that
each is counted in turn, though some calls of every block are not."""
_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Measured:
    """The quietest attempt."""

    latencies: dict[str, list[Latency]]
    """By model, one for each condition; the first is the one that gates judge."""
    noise: Noise


def measure(
    models: Mapping[str, Path],
    inputs: npt.NDArray[np.float32],
    spec: LatencySpec,
    confidence: float,
) -> Measured:
    """Time calls of every model in turn, again while the machine is noisy.

    Args:
        models: ONNX file of each model; at least one.
        inputs: real rows, float32, shape (rows, \\*input shape), at least one.
        spec: conditions, time and precision.
        confidence: level of the intervals.

    Raises:
        UserError: a model does not load, or the provider cannot be had.
    """
    attempts: list[Measured] = []
    while len(attempts) < spec.attempts:
        attempts.append(_attempt(models, inputs, spec, confidence))
        if not attempts[-1].noise.noisy:
            break
    quietest = min(attempts, key=lambda measured: noise.loudness(measured.noise))
    found = quietest.noise.model_copy(update={"attempts": len(attempts)})
    return Measured(quietest.latencies, found)


def _attempt(
    models: Mapping[str, Path],
    inputs: npt.NDArray[np.float32],
    spec: LatencySpec,
    confidence: float,
) -> Measured:
    """Measure under all conditions; what one leaves of its share of the time goes to the others."""
    left = spec.budget_s
    conditions = len(spec.threads) * len(spec.batch_sizes)
    latencies: dict[str, list[Latency]] = {name: [] for name in models}
    traces: list[Trace] = []
    for threads in spec.threads:
        sessions = {
            name: open_session(name, path, threads, spec.provider) for name, path in models.items()
        }
        for batch_size in spec.batch_sizes:
            started = time.monotonic()
            seconds = max(left, 0.0) / (conditions - len(traces))
            trace = measure_sessions(
                sessions, inputs, batch_size, seconds, spec.precision, confidence
            )
            left -= time.monotonic() - started
            traces.append(trace)
            for name, samples in trace.nanoseconds.items():
                latencies[name].append(summarise(samples, batch_size, threads, confidence))
    return Measured(latencies, noise.noise(traces[0], spec.max_noise, attempts=1))


def measure_sessions(
    sessions: Mapping[str, Session],
    inputs: npt.NDArray[np.float32],
    batch_size: int,
    seconds: float,
    precision: float,
    confidence: float,
) -> Trace:
    """Time calls of every session in turn, under one condition.

    Args:
        sessions: by name; at least one.
        inputs: real rows, float32, shape (rows, \\*input shape), at least one.
        batch_size: rows in one call.
        seconds: for all sessions together; see :func:`take_turns` for when it takes longer.
        precision: at which to end before that, as in the recipe.
        confidence: level of the intervals.
    """
    return take_turns(sessions, batches(inputs, batch_size), seconds, precision, confidence)


def batches(inputs: npt.NDArray[np.float32], batch_size: int) -> list[Feed]:
    """What models are called with: at most 397 batches, evenly over all rows.

    Where there are fewer rows than a batch takes, they are repeated.
    """
    if len(inputs) < batch_size:
        inputs = np.resize(inputs, (batch_size, *inputs.shape[1:]))
    starts = len(inputs) - batch_size + 1
    count = min(starts, _FEEDS)
    return [
        {INPUT_NAME: inputs[start : start + batch_size]}
        for start in (position * starts // count for position in range(count))
    ]


def summarise(
    samples: npt.NDArray[np.int64], batch_size: int, threads: int, confidence: float
) -> Latency:
    """Percentiles in milliseconds, with their intervals.

    Args:
        samples: nanoseconds of each call, shape (segments, calls).
        batch_size: rows in one call.
        threads: of ONNX Runtime.
        confidence: level of the intervals.
    """
    p50, p95, p99 = (_percentile(samples, share, confidence) for share in (0.50, 0.95, 0.99))
    return Latency(
        batch_size=batch_size,
        threads=threads,
        p50=p50,
        p95=p95,
        p99=p99,
        calls=samples.size,
        throughput=batch_size / (p50.value / 1e3),
    )


def _percentile(samples: npt.NDArray[np.int64], share: float, confidence: float) -> Percentile:
    values: list[float] = (segment_percentiles(samples, share) / _NS_PER_MS).tolist()
    interval = median_interval(values, confidence)
    return Percentile(
        value=statistics.median(values),
        lower=interval.lower,
        upper=interval.upper,
        segments=values,
    )
