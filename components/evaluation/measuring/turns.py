"""Timing calls of several models that take turns.

The models take turns in small blocks, in an order that changes from round to round, so that a drift
of the machine (frequency, neighbours) meets all of them alike. Rounds make up segments, which the
statistics of latencies are made from.
"""

import gc
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from components.evaluation.latency_bounds import calls_needed, median_interval, segment_percentiles
from components.shared.deployable import OUTPUT_NAME

_BLOCK = 20
"""Counted calls of one model before the next one's turn."""
_MOST_CALLS = 400
"""Counted calls of one model in a segment."""
_LEAST_CALLS = calls_needed(0.95)
_SEGMENTS = 20
"""Measuring goes on for so many segments, precise or not, unless the time is up."""
_PLANNED_SEGMENTS = 2 * _SEGMENTS
"""So many fit into the time by the pilot's timing, since a busy machine may be slower than that."""
_LEAST_SEGMENTS = 8
"""Even when the time is up: bounds of 8 segments exist up to a confidence of 1 - 2 ** -8."""
_WARM_UP_CALLS = 5
_WARM_UP_BLOCKS = 40
_STABLE = 0.05
"""A model is warm when the medians of two successive blocks are as close as this fraction."""

Feed = dict[str, npt.NDArray[np.float32]]


class Session(Protocol):
    """What is timed; ONNX Runtime's sessions are such."""

    def run(self, output_names: list[str], input_feed: Feed) -> object:
        """Predict one batch."""


@dataclass
class Trace:
    """What was timed under one condition."""

    segments: dict[str, list[npt.NDArray[np.int64]]]
    """By model: nanoseconds of the counted calls of each segment."""
    wall_ns: int = 0
    """Wall time of all blocks of counted calls."""
    cpu_ns: int = 0
    """CPU time of the calling thread in them."""

    @property
    def nanoseconds(self) -> dict[str, npt.NDArray[np.int64]]:
        """By model: every counted call, shape (segments, calls)."""
        return {name: np.stack(found) for name, found in self.segments.items()}


@dataclass(frozen=True)
class Plan:
    """The size of a segment."""

    block: int
    """Counted calls of one turn."""
    rounds: int
    """Turns of each model in one segment."""

    @property
    def settle(self) -> int:
        """Uncounted calls of one turn, which bring the model back into the CPU's caches."""
        return self.block // 4


def plan(round_ns: float, seconds: float) -> Plan:
    """The largest segment, from 13 to 400 calls, of which 40 fit into the time.

    With fewer than 13 calls a segment would have no 95th percentile; so slow models may take longer
    than their time.

    Args:
        round_ns: nanoseconds of one call of every model.
        seconds: for all segments.
    """
    calls = seconds * 1e9 / _PLANNED_SEGMENTS / (round_ns * 1.25)
    block = int(min(max(calls, _LEAST_CALLS), _BLOCK))
    return Plan(block, rounds=int(min(max(calls, block), _MOST_CALLS)) // block)


def take_turns(
    sessions: Mapping[str, Session],
    feeds: Sequence[Feed],
    seconds: float,
    precision: float,
    confidence: float,
) -> Trace:
    """Time calls of every session, until the figures are precise or the time is up.

    Every model gets the same batches. At least 20 segments are timed, or, where they do not fit
    into the time, at least 8, however long those take.

    Args:
        sessions: by name; at least one.
        feeds: what they are called with, one after the other and over again.
        seconds: for warm-up and segments.
        precision: half the width of the intervals of median and 95th percentile at which to end,
            as a fraction of them, for every model.
        confidence: level of those intervals.
    """
    deadline = time.monotonic() + seconds
    rows = {name: itertools.cycle(feeds) for name in sessions}
    trace = Trace({name: [] for name in sessions})
    with _without_garbage_collection():
        round_ns = sum(_warm_up(session, feeds, deadline) for session in sessions.values())
        size = plan(round_ns, deadline - time.monotonic())
        next_look = _SEGMENTS
        for segments in itertools.count(1):
            _time_segment(sessions, rows, size, segments, trace)
            if segments >= _LEAST_SEGMENTS and time.monotonic() >= deadline:
                break
            if segments == next_look:
                if precise(trace, precision, confidence):
                    break
                next_look += -(-segments // 10)
    return trace


def precise(trace: Trace, precision: float, confidence: float) -> bool:
    """Whether the bounds of median and 95th percentile are close enough, for every model."""
    for samples in trace.nanoseconds.values():
        for share in (0.50, 0.95):
            values = segment_percentiles(samples, share).tolist()
            interval = median_interval(values, confidence)
            figure = float(np.median(values))
            if max(interval.upper - figure, figure - interval.lower) > precision * figure:
                return False
    return True


def order(names: Sequence[str], round_: int) -> list[str]:
    """Who comes after whom: rotated in every other round, and backwards in between.

    So each model is as often before as behind any other, and next to each of its neighbours.
    """
    first = round_ // 2 % len(names)
    turned = [*names[first:], *names[:first]]
    return turned[::-1] if round_ % 2 else turned


def _time_segment(
    sessions: Mapping[str, Session],
    rows: Mapping[str, Iterator[Feed]],
    size: Plan,
    segment: int,
    trace: Trace,
) -> None:
    samples: dict[str, list[int]] = {name: [] for name in sessions}
    for round_ in range(segment * size.rounds, (segment + 1) * size.rounds):
        for name in order(list(sessions), round_):
            _time_calls(sessions[name], rows[name], size.settle)
            cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
            samples[name] += _time_calls(sessions[name], rows[name], size.block)
            trace.wall_ns += time.perf_counter_ns() - wall
            trace.cpu_ns += time.thread_time_ns() - cpu
    for name, found in samples.items():
        trace.segments[name].append(np.array(found))


def _warm_up(session: Session, feeds: Sequence[Feed], deadline: float) -> float:
    """Call until successive blocks agree, at least twice; median nanoseconds of the last block."""
    rows = itertools.cycle(feeds)
    before = float(np.median(_time_calls(session, rows, _WARM_UP_CALLS)))
    for _ in range(_WARM_UP_BLOCKS):
        now = float(np.median(_time_calls(session, rows, _WARM_UP_CALLS)))
        if abs(now - before) <= _STABLE * before or time.monotonic() >= deadline:
            break
        before = now
    return now


def _time_calls(session: Session, rows: Iterator[Feed], calls: int) -> list[int]:
    """Nanoseconds of each of ``calls`` calls; nothing but the call is between the clock's ticks."""
    run, clock, outputs = session.run, time.perf_counter_ns, [OUTPUT_NAME]
    durations = []
    for feed in itertools.islice(rows, calls):
        start = clock()
        run(outputs, feed)
        durations.append(clock() - start)
    return durations


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
