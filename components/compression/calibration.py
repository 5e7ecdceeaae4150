"""Ranges of activations, from what calibration rows put into them."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorsData,
    create_calibrator,
)
from onnxruntime.quantization.calibrate import HistogramCollector

from components.compression.deploying import Inputs
from components.shared.deployable import INPUT_NAME

_METHODS = {"entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
_BINS = {"entropy": 512, "percentile": 2048}
"""The time that ``entropy`` takes grows with the square: a tenth of a second a tensor at 512."""
_LEVELS = 128
_PERCENTILE = 99.999
_BATCH = 64


def activation_ranges(
    model: Path, operators: list[str], calibration: Inputs, ranges: str
) -> TensorsData:
    """Smallest and largest value of each activation that is to be quantised.

    The activations of one batch at a time are in memory.

    Args:
        model: a float32 ONNX file.
        operators: operators whose inputs and outputs count.
        calibration: raw rows, shape (rows, \\*input shape).
        ranges: ``minmax``: all that was seen; ``percentile``: without the outermost 0.0005 % on
            either side; ``entropy``: the range about zero that loses least, by the KL divergence
            of the rounded from the true distribution (Migacz, GTC 2017).
    """
    seen = _collect(model, operators, calibration, CalibrationMethod.MinMax, None)
    if ranges == "minmax":
        return seen
    histograms = _histograms(seen, ranges)
    return _collect(model, operators, calibration, _METHODS[ranges], histograms)


def _collect(
    model: Path,
    operators: list[str],
    calibration: Inputs,
    method: CalibrationMethod,
    collector: HistogramCollector | None,
) -> TensorsData:
    with TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        augmented = str(Path(scratch) / "augmented.onnx")
        calibrator = create_calibrator(
            model, operators, augmented_model_path=augmented, calibrate_method=method
        )
        if collector:
            calibrator.collector = collector
        for start in range(0, len(calibration), _BATCH):
            calibrator.collect_data(_Batch(calibration[start : start + _BATCH]))
        return calibrator.compute_data()


def _histograms(seen: TensorsData, method: str) -> HistogramCollector:
    """Empty histograms over all that is going to come.

    Left alone, the collector takes its bins from the first batch and appends more of the same width
    for each larger value, without limit: an outlier of a thousand times the size takes hours.
    """
    bins = _BINS[method]
    collector = HistogramCollector(method, False, bins, _LEVELS, _PERCENTILE, "same")
    for name, tensor in seen.items():
        low, high = (np.float32(np.asarray(end).item()) for end in tensor.range_value)
        # ONNX Runtime may add up in another order in the second pass.
        limit = np.float32(1.001) * max(abs(low), abs(high))
        edges = np.linspace(-limit, limit, bins + 1, dtype=np.float32)
        empty = np.zeros(bins, dtype=np.int64)
        collector.histogram_dict[name] = (empty, edges, low, high, limit)
    return collector


class _Batch(CalibrationDataReader):  # type: ignore[misc]
    """Hands out one batch of calibration rows."""

    def __init__(self, rows: Inputs) -> None:
        self._left: Iterator[Inputs] = iter([rows])

    def get_next(self) -> dict[str, Inputs] | None:
        """The batch by the name of the input, then ``None``."""
        batch = next(self._left, None)
        return None if batch is None else {INPUT_NAME: batch}
