from pathlib import Path

import numpy as np
import onnx
import pytest

from components.compression.quantise import quantise_static
from components.shared.networks.exporting import export_onnx
from tests.compression.conftest import case_of


def activation_range(path: Path) -> float:
    """The range that the input of the first layer was given."""
    model = onnx.load(path)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    return float(values[first.input[1]]) * 255


def test_ranges_come_from_all_calibration_rows_and_cut_outliers_if_asked(tmp_path: Path) -> None:
    case = case_of("mlp")
    export_onnx(case.network, tmp_path / "float.onnx")
    rows = np.concatenate([case.rows] * 10)  # 256,000 values
    rows[2150, 0, 0, 0] = 6e5  # neither in the first batch nor in the last
    widths = {}
    for ranges in ("minmax", "percentile", "entropy"):
        path = tmp_path / f"{ranges}.onnx"
        quantise_static(tmp_path / "float.onnx", path, rows, ranges)
        widths[ranges] = activation_range(path)
    assert widths["minmax"] == pytest.approx(1e5, rel=0.01)
    assert widths["percentile"] < 0.01 * widths["minmax"]
    assert widths["entropy"] < 0.6 * widths["minmax"]
