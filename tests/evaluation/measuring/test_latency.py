"""Latency: every model gets the same rows in turn, until the figures are precise."""

import gc
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from components.evaluation.measuring import latency
from components.evaluation.measuring.latency import batches, measure, measure_sessions, summarise
from components.evaluation.measuring.turns import order, plan
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.errors import UserError
from components.shared.recipe import LatencySpec
from tests.evaluation.measuring.onnx_files import write_layers

MS = 1_000_000


class RecordingSession:
    """A session that writes down which model got which row, and whether gc was on."""

    def __init__(self, name: str, log: list[tuple[str, int, bool]]) -> None:
        self._name, self._log = name, log

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> Any:
        assert outputs == [OUTPUT_NAME]
        self._log.append((self._name, int(feed[INPUT_NAME][0, 0]), gc.isenabled()))


def rows(count: int) -> np.ndarray:
    return np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.float32)


def recorded(names: list[str], row_count: int = 40) -> list[tuple[str, int, bool]]:
    log: list[tuple[str, int, bool]] = []
    sessions = {name: RecordingSession(name, log) for name in names}
    measure_sessions(sessions, rows(row_count), 1, 1.0, 0.5, 0.95)
    return log


def test_models_get_the_same_rows_and_take_turns_without_gc() -> None:
    names = ["teacher", "student", "champion"]
    log = recorded(names)
    assert not any(enabled for _, _, enabled in log)
    assert gc.isenabled()
    changes = [i for i in range(1, len(log)) if log[i][0] != log[i - 1][0]]
    turns = changes[len(names) - 1 :]  # before them, each model warms up for as long as it takes
    longest = max(after - before for before, after in pairwise(turns))
    assert longest <= 2 * 25
    cycles = {name: [row for who, row, _ in log if who == name][-100:] for name in names}
    for found in cycles.values():
        steps = {(after - before) % 40 for before, after in pairwise(found)}
        assert steps == {1}
    assert len({found[-1] for found in cycles.values()}) == 1


def test_order_favours_no_model() -> None:
    names = ["teacher", "student", "champion"]
    orders = [order(names, round_) for round_ in range(6)]
    for name in names:
        places = [found.index(name) for found in orders]
        assert sorted(places) == [0, 0, 1, 1, 2, 2]
        for other in set(names) - {name}:
            assert sum(found.index(name) < found.index(other) for found in orders) == 3
            assert sum(found.index(name) + 1 == found.index(other) for found in orders) == 2


def test_garbage_collection_is_restored_after_an_error() -> None:
    class Failing:
        def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> Any:
            assert not gc.isenabled()
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        measure_sessions({"student": Failing()}, rows(3), 1, 1.0, 0.05, 0.95)
    assert gc.isenabled()


def test_batches_are_spread_over_all_rows() -> None:
    feeds = [feed[INPUT_NAME] for feed in batches(rows(100_003), 4)]
    assert {feed.shape for feed in feeds} == {(4, 2)}
    assert len(feeds) == 397
    assert feeds[0][0, 0] == 0
    assert feeds[-1][0, 0] > 99_000
    assert all(np.diff(feed[:, 0]).tolist() == [1, 1, 1] for feed in feeds)


def test_few_rows_are_repeated_to_fill_a_batch() -> None:
    (feed,) = batches(rows(3), 8)
    assert feed[INPUT_NAME][:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("round_ns", "seconds", "calls"),
    [
        (1_000, 20.0, 400),
        (2.5 * MS, 20.0, 160),
        (20 * MS, 20.0, 20),
        (1000 * MS, 20.0, 13),
        (1_000, -1.0, 13),
    ],
)
def test_segments_are_as_long_as_the_time_allows(
    round_ns: float, seconds: float, calls: int
) -> None:
    size = plan(round_ns, seconds)
    assert size.block * size.rounds == calls
    assert 0 < size.settle < size.block <= 20


class Simulated:
    """A session whose calls take no time but what the clock is told."""

    def __init__(self, advance: Callable[[int], None], nanoseconds: Callable[[], float]) -> None:
        self._advance, self._nanoseconds = advance, nanoseconds

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> Any:
        self._advance(int(self._nanoseconds()))


class Clock:
    """Takes the place of ``time``, so that these tests do not depend on this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        from components.evaluation.measuring import turns

        monkeypatch.setattr(turns, "time", self)

    def advance(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    def perf_counter_ns(self) -> int:
        return self.now

    thread_time_ns = perf_counter_ns

    def monotonic(self) -> float:
        return self.now / 1e9


def test_measuring_ends_once_the_figures_are_precise(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    sessions = {
        "student": Simulated(clock.advance, lambda: 1 * MS),
        "teacher": Simulated(clock.advance, lambda: 3 * MS),
    }
    trace = measure_sessions(sessions, rows(9), 1, 1000.0, 0.05, 0.95)
    assert {samples.shape for samples in trace.nanoseconds.values()} == {(20, 400)}
    assert set(trace.nanoseconds["student"].flat) == {1 * MS}
    assert trace.wall_ns == 20 * 400 * 4 * MS


def test_measuring_goes_on_while_one_model_is_imprecise_until_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    generator = np.random.default_rng(0)
    sessions = {
        "student": Simulated(clock.advance, lambda: 1 * MS),
        "teacher": Simulated(clock.advance, lambda: generator.lognormal(0, 2) * MS),
    }
    trace = measure_sessions(sessions, rows(9), 1, 100.0, 0.001, 0.95)
    assert len(trace.nanoseconds["student"]) > 20
    assert 100 <= clock.now / 1e9 < 120


def test_slow_models_get_their_segments_though_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    sessions = {"teacher": Simulated(clock.advance, lambda: 5000 * MS)}
    trace = measure_sessions(sessions, rows(9), 1, 20.0, 0.05, 0.95)
    assert trace.nanoseconds["teacher"].shape == (8, 13)


def test_warm_up_lasts_until_the_model_is_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    took = iter([*np.linspace(50, 1, 60).tolist(), *[1.0] * 100_000])
    sessions = {"student": Simulated(clock.advance, lambda: next(took) * MS)}
    trace = measure_sessions(sessions, rows(9), 1, 30.0, 0.05, 0.95)
    assert set(trace.nanoseconds["student"].flat) == {1 * MS}


def test_summary_is_in_milliseconds_with_bounds_around_it() -> None:
    generator = np.random.default_rng(0)
    samples = (MS * generator.uniform(1, 2, size=(30, 400))).astype(np.int64)
    found = summarise(samples, batch_size=8, threads=2, confidence=0.95)
    assert (found.batch_size, found.threads, found.calls) == (8, 2, 12_000)
    assert found.throughput == pytest.approx(8 / 1.5e-3, rel=0.02)
    for percentile, expected in ((found.p50, 1.5), (found.p95, 1.95), (found.p99, 1.99)):
        assert percentile.value == pytest.approx(expected, rel=0.02)
        assert percentile.lower < percentile.value < percentile.upper
        assert len(percentile.segments) == 30


def test_too_few_calls_have_no_bound_for_the_99th_percentile() -> None:
    found = summarise(np.ones((8, 13), np.int64), batch_size=1, threads=1, confidence=0.95)
    assert math.isfinite(found.p95.upper)
    assert found.p99.upper == math.inf


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    return {
        "student": write_layers(tmp_path / "student.onnx", [2, 2]),
        "teacher": write_layers(tmp_path / "teacher.onnx", [2, 1500, 1500, 2]),
    }


def test_every_condition_is_measured_and_the_first_comes_first(models: dict[str, Path]) -> None:
    spec = LatencySpec(batch_sizes=[4, 1], threads=[2, 1], budget_s=0.4, max_noise=100)
    found = measure(models, rows(20), spec, 0.95)
    conditions = [(4, 2), (1, 2), (4, 1), (1, 1)]
    for measured in found.latencies.values():
        assert [(one.batch_size, one.threads) for one in measured] == conditions
    for student, teacher in zip(*(found.latencies[name] for name in models), strict=True):
        assert teacher.p50.value > student.p50.value > 0
        assert len(teacher.p50.segments) == len(student.p50.segments) >= 8
    assert found.noise.attempts == 1


def test_a_noisy_machine_is_measured_again_and_the_quietest_attempt_kept(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def remember(*arguments: Any, **named: Any) -> Any:
        seen.append(original(*arguments, **named))
        return seen[-1]

    original = latency.noise.noise
    monkeypatch.setattr(latency.noise, "noise", remember)
    spec = LatencySpec(budget_s=0.05, max_noise=1e-9, attempts=3)
    found = measure(models, rows(20), spec, 0.95).noise
    assert found.attempts == len(seen) == 3
    assert max(found.drift, found.preempted) == min(max(n.drift, n.preempted) for n in seen)
    assert found.noisy


def test_asking_for_cuda_without_it_is_an_error_and_no_fallback(models: dict[str, Path]) -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(UserError, match=r"evaluation\.latency\.provider.*onnxruntime-gpu"):
        measure(models, rows(5), LatencySpec(provider="cuda"), 0.95)
