"""Noise: quiet and busy machines are told apart by drift and by time not given."""

import numpy as np
import pytest

from components.evaluation.measuring.noise import drift, loudness, noise, preempted
from components.evaluation.measuring.turns import Trace


def trace(*scales: float, wall_ns: int = 1000, cpu_ns: int = 1000) -> Trace:
    """Two models whose calls take 100 and 700 ns, times the scale of each segment."""
    segments = {
        name: [np.full(5, base * scale, dtype=np.int64) for scale in scales]
        for name, base in (("student", 100), ("teacher", 700))
    }
    return Trace(segments, wall_ns, cpu_ns)


def test_segments_that_are_alike_do_not_drift() -> None:
    assert drift(trace(*[1.0] * 10)) == 0


def test_drift_is_the_spread_of_the_segments() -> None:
    scales = np.linspace(1, 2, 11).tolist()
    assert drift(trace(*scales)) == pytest.approx(0.8 / 1.5, rel=0.01)


def test_one_slow_segment_among_many_is_no_drift() -> None:
    assert drift(trace(*[1.0] * 19, 50.0)) == 0


def test_preempted_is_the_share_of_time_without_the_cpu() -> None:
    assert preempted(trace(1, wall_ns=1000, cpu_ns=700)) == pytest.approx(0.3)
    assert preempted(trace(1, wall_ns=1000, cpu_ns=1001)) == 0


def test_machine_is_noisy_if_it_drifts_or_lets_the_process_wait() -> None:
    starved, moving = trace(1, 1, cpu_ns=600), trace(1, 2)
    assert not noise(trace(1, 1), limit=0.3, attempts=1).noisy
    found = noise(starved, limit=0.3, attempts=2)
    assert (found.preempted, found.attempts, found.noisy) == (pytest.approx(0.4), 2, True)
    found = noise(moving, limit=0.3, attempts=1)
    assert loudness(found) == found.drift == drift(moving)
    assert found.noisy
