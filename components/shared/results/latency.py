"""Latency, throughput and footprint of a model, as measured."""

from typing import Literal

from components.shared.results.base import Result

PercentileName = Literal["p50", "p95", "p99"]


class Percentile(Result):
    """A latency percentile in milliseconds.

    The machine drifts while it measures, so calls are not independent; segments of the measurement
    nearly are. The figure is the median of the segments' percentiles, and its bounds are
    distribution-free: order statistics of the segments.
    """

    value: float
    lower: float
    upper: float
    """Bounds of a two-sided interval at the evaluation's confidence."""
    segments: list[float]
    """The percentile in each segment, in order of time; the same segments for every model."""


class Latency(Result):
    """One model under one condition."""

    batch_size: int
    threads: int
    p50: Percentile
    p95: Percentile
    p99: Percentile
    calls: int
    """Counted calls, after the warm-up."""
    throughput: float
    """Rows per second at the median latency."""


class Footprint(Result):
    """What a model costs a process that has not run it yet."""

    cold_start_ms: float
    """From the file to the first prediction of one row, ONNX Runtime imported already."""
    peak_memory_bytes: int
    """Growth of the process's peak resident memory, from before loading until it has predicted."""


class Noise(Result):
    """How quiet the machine was while latencies were measured."""

    drift: float
    """Spread of the segments' medians, all models together: (90th - 10th percentile) / median."""
    preempted: float
    """Share of the wall time of the counted calls in which this process did not run, 0 to 1."""
    limit: float
    """From here on a machine counts as noisy, for both figures."""
    attempts: int
    """How often latencies were measured; the quietest attempt is kept."""

    @property
    def noisy(self) -> bool:
        """Whether the machine was too busy for absolute latencies to mean much."""
        return not (self.drift <= self.limit and self.preempted <= self.limit)
