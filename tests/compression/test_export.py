from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from components.compression.export import export_onnx, largest_difference, write_deployable
from components.shared.bundle import ModelBundle
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput, MlpSpec, TabularInput

RNG = np.random.default_rng(0)
CASES = [
    (
        MlpSpec(family="mlp", hidden=[16], activation="gelu", dropout=0.2),
        TabularInput(columns=["a", "b", "c"]),
        Preprocessing(mean=[100.0, 0.0, -3.0], std=[50.0, 1e-3, 2.0]),
        (RNG.normal(size=(40, 3)) * [50, 1e-3, 2] + [100, 0, -3]).astype(np.float32),
    ),
    (
        CnnSpec(family="cnn", channels=[4, 8], hidden=8),
        ImageInput(kind="image", size=[3, 12, 10]),
        Preprocessing(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0]),
        RNG.integers(0, 256, size=(40, 3, 12, 10)).astype(np.float32),
    ),
]


@pytest.fixture(params=CASES, ids=["mlp", "cnn"])
def case(request: pytest.FixtureRequest) -> tuple[ModelBundle, Classifier, np.ndarray]:
    spec, input_spec, preprocessing, rows = request.param
    torch.manual_seed(0)
    network = Classifier.build(spec, input_spec, preprocessing, 3)
    if spec.family == "cnn":
        network(torch.from_numpy(rows))  # moves the running statistics away from their start
    bundle = ModelBundle(
        role="student",
        model=spec,
        input=input_spec,
        preprocessing=preprocessing,
        classes=["x", "y", "z"],
        parameters=network.parameter_count,
        seed=0,
        dataset_digest="d" * 64,
        soft_labels_digest=None,
        selection=None,
        curve=[],
        weights_sha256="w" * 64,
    )
    return bundle, network.eval(), rows


def test_onnx_file_gives_torchs_probabilities_for_raw_rows(
    tmp_path: Path, case: tuple[ModelBundle, Classifier, np.ndarray]
) -> None:
    bundle, network, rows = case
    written = write_deployable(tmp_path / "out", bundle, network, rows, teacher_digest="t" * 64)
    session = ort.InferenceSession(str(tmp_path / "out" / ONNX_FILE))
    (found,) = session.run(None, {"input": rows})
    expected = network(torch.from_numpy(rows)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert written.max_difference == pytest.approx(np.abs(found - expected).max(), abs=1e-7)
    assert written.checked_rows == len(rows)
    assert read_deployable(tmp_path / "out") == written


def test_any_number_of_rows_can_be_asked_for(
    tmp_path: Path, case: tuple[ModelBundle, Classifier, np.ndarray]
) -> None:
    _, network, rows = case
    export_onnx(network, tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    for count in (1, 7, 40):
        assert session.run(None, {"input": rows[:count]})[0].shape == (count, 3)


def test_export_of_another_model_is_noticed(
    tmp_path: Path, case: tuple[ModelBundle, Classifier, np.ndarray]
) -> None:
    _, network, rows = case
    export_onnx(network, tmp_path / "m.onnx")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    assert largest_difference(network, tmp_path / "m.onnx", rows) > 1e-3


def test_export_that_computes_something_else_is_refused_and_not_written(
    tmp_path: Path, case: tuple[ModelBundle, Classifier, np.ndarray]
) -> None:
    bundle, network, rows = case
    rows = rows.copy()
    rows[3] = np.nan
    with pytest.raises(UserError, match="ONNX file of student differs from the torch model by nan"):
        write_deployable(tmp_path / "out", bundle, network, rows, teacher_digest=None)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_not_the_one_described_is_refused(
    tmp_path: Path, case: tuple[ModelBundle, Classifier, np.ndarray]
) -> None:
    bundle, network, rows = case
    write_deployable(tmp_path / "out", bundle, network, rows, teacher_digest=None)
    with (tmp_path / "out" / ONNX_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="not the file that deployable.json describes"):
        read_deployable(tmp_path / "out")
    (tmp_path / "out" / DEPLOYABLE).unlink()
    with pytest.raises(UserError, match="has no deployable.json"):
        read_deployable(tmp_path / "out")
