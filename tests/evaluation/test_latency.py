"""Latency: every call counts, every model gets the same rows, order rotates."""

import gc
import math
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.evaluation.latency import measure, summarise
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.recipe import EvaluationSpec


class RecordingSession:
    """A session that writes down which model got which row, and whether gc was on."""

    def __init__(self, name: str, log: list[tuple[str, int, bool]]) -> None:
        self._name, self._log = name, log

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> Any:
        assert outputs == [OUTPUT_NAME]
        assert feed[INPUT_NAME].shape == (1, 2)
        self._log.append((self._name, int(feed[INPUT_NAME][0, 0]), gc.isenabled()))


def rows(count: int) -> np.ndarray:
    return np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.float32)


def turns(log: list[tuple[str, int, bool]]) -> list[str]:
    """Names of the models in the order of their turns."""
    names = [name for name, _, _ in log]
    return [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]


def test_models_take_turns_in_rotating_order_on_the_same_rows_without_gc() -> None:
    log: list[tuple[str, int, bool]] = []
    sessions: Any = {
        name: RecordingSession(name, log) for name in ("teacher", "student", "champion")
    }
    spec = EvaluationSpec(warmup=7, calls=110)
    found = measure(sessions, rows(40), spec)

    assert {latency.calls for latency in found.values()} == {110}
    warmup, counted = log[: 3 * 7], log[3 * 7 :]
    assert turns(warmup) == ["teacher", "student", "champion"]
    rotation = [
        *("teacher", "student", "champion"),
        *("student", "champion", "teacher"),
        *("champion", "teacher", "student"),
    ]
    assert turns(counted) == rotation * 2
    per_model = {
        name: [row for who, row, _ in log if who == name]
        for name in ("teacher", "student", "champion")
    }
    assert per_model["teacher"] == per_model["student"] == per_model["champion"]
    assert per_model["student"][:41] == [*range(40), 0]
    assert not any(enabled for _, _, enabled in counted)
    assert gc.isenabled()


def test_rows_are_spread_over_a_large_test_split() -> None:
    log: list[tuple[str, int, bool]] = []
    sessions: Any = {"student": RecordingSession("student", log)}
    measure(sessions, rows(1000), EvaluationSpec(warmup=1, calls=100))
    assert {row for _, row, _ in log} == set(range(0, 1000, 10))


def test_garbage_collection_is_restored_after_an_error() -> None:
    class Failing(RecordingSession):
        def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> Any:
            if not gc.isenabled():
                raise RuntimeError("boom")

    sessions: Any = {"student": Failing("student", [])}
    with pytest.raises(RuntimeError, match="boom"):
        measure(sessions, rows(3), EvaluationSpec())
    assert gc.isenabled()


def test_percentiles_are_in_milliseconds_with_bounds_above_them() -> None:
    generator = np.random.default_rng(0)
    nanoseconds = [int(value) for value in 1e6 * generator.uniform(1, 2, size=3000)]
    latency = summarise(nanoseconds, EvaluationSpec())
    assert latency.p50.value == pytest.approx(1.5, abs=0.05)
    assert latency.p99.value == pytest.approx(1.99, abs=0.01)
    for percentile in (latency.p50, latency.p95, latency.p99):
        assert percentile.value < percentile.upper < percentile.value + 0.1


def test_too_few_calls_have_no_bound_for_the_99th_percentile() -> None:
    latency = summarise(list(range(1, 101)), EvaluationSpec(calls=100))
    assert math.isfinite(latency.p95.upper)
    assert latency.p99.upper == math.inf


def test_larger_model_is_slower() -> None:
    """Real sessions; a 1024 x 1024 product against a 2 x 2 one leaves no doubt."""

    def session(width: int) -> ort.InferenceSession:
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", [INPUT_NAME, "first"], ["hidden"]),
                helper.make_node("MatMul", ["hidden", "square"], [OUTPUT_NAME]),
            ],
            "products",
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["rows", 2])],
            [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["rows", width])],
            [
                numpy_helper.from_array(np.ones((2, width), np.float32), "first"),
                numpy_helper.from_array(np.ones((width, width), np.float32), "square"),
            ],
        )
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    found = measure(
        {"teacher": session(1024), "student": session(2)},
        rows(20),
        EvaluationSpec(calls=200, warmup=10),
    )
    assert found["teacher"].p50.value > found["student"].p50.value > 0
