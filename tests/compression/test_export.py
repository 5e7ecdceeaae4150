from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from components.compression.export import export_onnx
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput
from tests.compression.conftest import Case


def test_onnx_file_gives_torchs_probabilities_for_raw_rows(tmp_path: Path, case: Case) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(["probabilities"], {"input": case.rows})
    expected = case.network(torch.from_numpy(case.rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_any_number_of_rows_can_be_asked_for(tmp_path: Path, case: Case) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    for count in (1, 7, 40):
        assert session.run(None, {"input": case.rows[:count]})[0].shape == (count, 10)


def test_each_channel_is_standardised_by_its_own_mean_and_deviation(tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0])
    torch.manual_seed(0)
    network = Classifier.build(
        CnnSpec(family="cnn", channels=[4, 8], hidden=8),
        ImageInput(kind="image", size=[3, 12, 10]),
        preprocessing,
        3,
    ).eval()
    rows = np.random.default_rng(0).integers(0, 256, size=(40, 3, 12, 10)).astype(np.float32)
    export_onnx(network, tmp_path / "m.onnx")
    (found,) = ort.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"input": rows})
    expected = network(torch.from_numpy(rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
