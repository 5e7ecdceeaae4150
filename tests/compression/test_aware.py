from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx

from components.compression.aware import AwareNetwork, round_activations
from components.compression.quantise import quantise_static
from components.shared.networks.exporting import export_onnx
from tests.compression.conftest import Case


def quantised(aware: AwareNetwork, rows: np.ndarray, folder: Path) -> Path:
    export_onnx(aware.without_rounding(), folder / "float.onnx")
    quantise_static(folder / "float.onnx", folder / "int8.onnx", rows, "minmax")
    return folder / "int8.onnx"


def simulated_ranges(aware: AwareNetwork, rows: torch.Tensor) -> list[float]:
    """Largest minus smallest value of each activation that is rounded."""
    ranges = []

    class Recorder(fx.Interpreter):
        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            value = super().call_function(target, args, kwargs)
            if target is round_activations:
                ranges.append(float(value.max() - value.min()))
            return value

    body = aware.rounding.eval().body
    assert isinstance(body, fx.GraphModule)
    with torch.inference_mode():
        Recorder(body).run(aware.rounding.preprocess(rows))
    return ranges


def ranges_of(path: Path) -> list[float]:
    """255 steps of each activation's scale; what is passed on keeps its scale, and counts once."""
    model = onnx.load(path)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return [255 * float(values[name]) for name in {node.input[1] for node in nodes}]


def test_what_is_rounded_in_training_is_what_the_file_stores_in_int8(
    tmp_path: Path, case: Case
) -> None:
    aware = AwareNetwork(case.network)
    simulated = simulated_ranges(aware, torch.from_numpy(case.rows))
    stored = ranges_of(quantised(aware, case.rows, tmp_path))
    assert len(simulated) == len(stored)
    np.testing.assert_allclose(sorted(simulated), sorted(stored), rtol=0.1)


def test_simulated_rounding_is_as_coarse_as_that_of_the_file(tmp_path: Path, case: Case) -> None:
    aware = AwareNetwork(case.network)
    rows = torch.from_numpy(case.rows)
    with torch.inference_mode():
        simulated = aware.rounding.eval()(rows).log_softmax(dim=1).numpy()
        plain = case.network(rows).log_softmax(dim=1).numpy()
    session = ort.InferenceSession(str(quantised(aware, case.rows, tmp_path)))
    found = np.log(session.run(None, {"input": case.rows})[0])
    in_training, in_the_file = (np.abs(each - plain).mean() for each in (simulated, found))
    assert 0.6 < in_training / in_the_file < 1.6
    assert np.abs(found - simulated).mean() < 1.5 * in_the_file


def test_without_rounding_it_is_the_student(case: Case) -> None:
    rows = torch.from_numpy(case.rows)
    with torch.inference_mode():
        expected = case.network(rows)
        found = AwareNetwork(case.network).without_rounding()(rows)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_is_learned_under_rounding_is_in_the_exported_version(case: Case) -> None:
    before = {name: tensor.clone() for name, tensor in case.network.state_dict().items()}
    aware = AwareNetwork(case.network)
    case.recovery().learn_on(aware.rounding, 20, 1e-3, "test")
    plain = aware.without_rounding()
    rows = torch.from_numpy(case.rows)
    with torch.inference_mode():
        changed = (plain(rows) - case.network(rows)).abs().max()
    assert changed > 0.05
    assert case.accuracy(plain) > 0.85
    assert all("parametrizations" not in name for name in plain.state_dict())
    for name, tensor in case.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_rounded_activations_lie_on_256_values_half_a_step_away(numbers: list[float]) -> None:
    values = torch.tensor(numbers)
    rounded = round_activations(values)
    step = (values.max().clamp(min=0) - values.min().clamp(max=0)) / 255
    assert len(rounded.unique()) <= 256
    # The ends of the range move by up to half a step, since zero has to be on the grid.
    assert (rounded - values).abs().max() <= 1.001 * step + 1e-30


def test_gradients_pass_through_the_rounding() -> None:
    values = torch.randn(100, requires_grad=True)
    round_activations(values).sum().backward()
    assert values.grad is not None
    assert values.grad.mean() > 0.95
