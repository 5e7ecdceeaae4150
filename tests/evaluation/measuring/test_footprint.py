"""Footprints: of fresh processes, whatever this one has run before."""

from pathlib import Path

import numpy as np
import pytest

from components.evaluation.measuring.footprint import measure_footprints
from tests.evaluation.measuring.onnx_files import write_layers

MEGABYTE = 1_000_000


def test_a_larger_model_costs_more_memory_and_starts_slower(tmp_path: Path) -> None:
    models = {
        "student": write_layers(tmp_path / "small.onnx", [16, 16, 3]),
        "teacher": write_layers(tmp_path / "large.onnx", [16, 3000, 3000, 3]),
    }
    rows = np.ones((10, 16), np.float32)
    found = measure_footprints(models, rows, threads=1)
    again = measure_footprints(dict(reversed(models.items())), rows, threads=1)

    weights = 4 * 3000 * 3000
    for footprints in (found, again):
        student, teacher = footprints["student"], footprints["teacher"]
        assert teacher.peak_memory_bytes - student.peak_memory_bytes > 0.9 * weights
        assert 0 < student.peak_memory_bytes < 40 * MEGABYTE
        assert teacher.cold_start_ms > student.cold_start_ms > 0


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    models = {
        "student": write_layers(tmp_path / "small.onnx", [4, 3]),
        "teacher": tmp_path / "broken.onnx",
    }
    with pytest.raises(RuntimeError, match=r"memory failed: the teacher: .* cannot load"):
        measure_footprints(models, np.ones((1, 4), np.float32), threads=1)


def test_a_model_that_cannot_predict_is_named(tmp_path: Path) -> None:
    models = {"student": write_layers(tmp_path / "small.onnx", [4, 3])}
    with pytest.raises(RuntimeError, match="memory failed: the student: .*MatMul|dimension"):
        measure_footprints(models, np.ones((1, 5), np.float32), threads=1)
