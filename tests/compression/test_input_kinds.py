"""Tables with gaps and categories, and texts: every form computes what the torch model does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from components.compression.aware import AwareNetwork
from components.compression.deploying import compare
from components.compression.forms import Student, make_form
from components.compression.half import convert_to_half
from components.compression.pruning import without_channels
from components.compression.quantise import quantise_dynamic, quantise_static
from components.compression.recovery import Recovery
from components.data_validation.resolve import resolve
from components.shared.dataset import Dataset
from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.networks import Classifier
from components.shared.networks.exporting import export_onnx
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import DataSpec, StudentTrainingSpec, parse_section
from components.shared.recipe.models import BagSpec, MlpSpec, ModelSpec, TransformerSpec
from components.shared.recipe.objectives import Kd
from components.shared.training.objectives import DistillationLoss
from components.shared.training.rows import MemoryRows
from components.shared.training.statistics import standardisation
from tests.compression.test_forms import CANDIDATES, spec_of
from tests.real_data import docstrings, titanic

PACKAGES = ("asyncio", "email", "logging", "importlib")
PASSENGERS: dict[str, Any] = {
    "id": "passenger",
    "label": "survived",
    "input": {
        "kind": "tabular",
        "missing": "indicator",
        "columns": [
            {"name": "pclass", "kind": "categorical"},
            {"name": "sex", "kind": "categorical", "unknown": "error"},
            "age",
            {"name": "sibsp", "missing": "error"},
            {"name": "fare", "missing": "zero"},
            {"name": "embarked", "kind": "categorical"},
        ],
    },
}
TEXTS: dict[str, Any] = {
    "id": "id",
    "label": "package",
    "input": {"kind": "text", "length": 64, "tokenizer": {"kind": "hash", "buckets": 4096}},
}
WORDS = {"kind": "text", "tokenizer": {"kind": "hash", "buckets": 4096, "ngrams": 1}}


@dataclass(frozen=True)
class Case:
    """A network that has learned from real rows, with rows that it has not seen."""

    network: Classifier
    training: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    @property
    def accuracy(self) -> float:
        with torch.inference_mode():
            found = self.network(torch.from_numpy(self.rows)).argmax(dim=1).numpy()
        return float((found == self.labels).mean())


def _learned(table: pa.Table, section: dict[str, Any], model: ModelSpec) -> Case:
    with TemporaryDirectory() as folder:
        pq.write_table(table, Path(folder) / "rows.parquet")
        data = parse_section(DataSpec, {"uri": f"{folder}/rows.parquet", **section}, "data")
        manifest = resolve(data, Path(folder) / "dataset")
        dataset = Dataset.open(Path(folder) / "dataset")
        training, test = dataset.load("labelled"), dataset.load("test")
    inputs, labels = torch.from_numpy(training.inputs), torch.from_numpy(training.labels)
    table_of_numbers = manifest.input.kind == "tabular"
    scale = standardisation(inputs) if table_of_numbers else Preprocessing(mean=[], std=[])
    torch.manual_seed(0)
    network = Classifier.build(model, manifest.input, scale, len(manifest.classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.01)
    for _ in range(120):
        batch = torch.randint(len(inputs), (64,))
        loss = torch.nn.functional.cross_entropy(network(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Case(network.eval(), training.inputs, test.inputs, test.labels)


@cache
def passengers() -> Case:
    """The Titanic's, with rows added whose values training never met."""
    found = _learned(titanic(), PASSENGERS, MlpSpec(family="mlp", hidden=[16]))
    rows = found.rows.copy()
    rows[0] = [3, 1, 30, 0, 8, 0]  # a class that is not known
    rows[1] = [np.nan, np.nan, np.nan, 0, np.nan, np.nan]
    rows[2] = [0, 7, 70, 3, 500, -1]
    return Case(found.network, found.training, rows, found.labels)


@cache
def texts() -> Case:
    return _learned(docstrings(*PACKAGES), TEXTS, BagSpec(family="bag", dims=16, hidden=[16]))


@cache
def ordered_texts() -> Case:
    section = {**TEXTS, "input": {**WORDS, "length": 32}}
    model = TransformerSpec(family="transformer", dims=16, heads=2, layers=1, hidden=32)
    return _learned(docstrings(*PACKAGES), section, model)


def _static(ranges: str) -> Callable[[Path, Path, np.ndarray], None]:
    return lambda model, output, rows: quantise_static(model, output, rows, ranges)


FORMS: dict[str, Callable[[Path, Path, np.ndarray], None]] = {
    "float16": lambda model, output, _: convert_to_half(model, output),
    "int8_dynamic": lambda model, output, _: quantise_dynamic(model, output),
    "int8_static": _static("minmax"),
    "int8_static by entropy": _static("entropy"),
}
MOST = {"float16": 0.005, "int8_dynamic": 0.05, "int8_static": 0.1, "int8_static by entropy": 0.5}
"""Largest difference of a probability; ranges by entropy leave out the highest fares."""


@pytest.fixture(params=[passengers, texts, ordered_texts], ids=["table", "text", "words"])
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


def test_models_learn_from_real_tables_and_texts() -> None:
    """Always the most frequent class: .62 and .27."""
    assert passengers().accuracy > 0.75
    assert texts().accuracy > 0.8
    assert ordered_texts().accuracy > 0.8


def test_onnx_file_gives_torchs_probabilities_with_gaps_and_unknown_values(
    tmp_path: Path, case: Case
) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    assert compare(case.network, tmp_path / "m.onnx", case.rows).max_difference < 1e-5
    session = ort.InferenceSession(tmp_path / "m.onnx")
    for count in (1, 7):
        (found,) = session.run([OUTPUT_NAME], {INPUT_NAME: case.rows[:count]})
        assert found.shape[0] == count
        assert np.isfinite(found).all()


@pytest.mark.parametrize("form", FORMS)
def test_smaller_form_follows_the_torch_model(tmp_path: Path, case: Case, form: str) -> None:
    export_onnx(case.network, tmp_path / "m.onnx")
    FORMS[form](tmp_path / "m.onnx", tmp_path / "small.onnx", case.training[:200])
    found = compare(case.network, tmp_path / "small.onnx", case.rows, form == "int8_dynamic")
    assert found.max_difference < MOST[form]
    assert found.agreement > 0.98


@pytest.mark.parametrize(("form", "share"), [("float16", 0.52), ("int8_dynamic", 0.3)])
def test_vectors_of_tokens_shrink_with_the_form(tmp_path: Path, form: str, share: float) -> None:
    export_onnx(texts().network, tmp_path / "m.onnx")
    FORMS[form](tmp_path / "m.onnx", tmp_path / "small.onnx", texts().training)
    sizes = [(tmp_path / name).stat().st_size for name in ("small.onnx", "m.onnx")]
    assert sizes[0] < share * sizes[1]


def test_half_precision_keeps_codes_ids_and_large_numbers_apart(tmp_path: Path) -> None:
    """float16 has no whole number beyond 2,048 but the even ones, and nothing beyond 65,504."""
    case = texts()
    export_onnx(case.network, tmp_path / "m.onnx")
    convert_to_half(tmp_path / "m.onnx", tmp_path / "half.onnx")
    ids = np.arange(3000, 3000 + 64, dtype=np.float32).reshape(-1, 1)
    rows = np.pad(ids, ((0, 0), (0, 63)))
    assert compare(case.network, tmp_path / "half.onnx", rows).max_difference < 0.005


def test_rounding_can_be_trained_behind_any_input(tmp_path: Path, case: Case) -> None:
    aware, rows = AwareNetwork(case.network), torch.from_numpy(case.rows)
    rounded, plain = aware.rounding(rows), case.network(rows)
    assert 0 < (rounded - plain).abs().max() < 0.1 * plain.abs().max()
    rounded.sum().backward()
    deployed = aware.without_rounding()
    export_onnx(deployed, tmp_path / "m.onnx")
    assert compare(deployed, tmp_path / "m.onnx", case.rows).max_difference < 1e-5


def test_units_can_be_pruned_behind_any_input(case: Case) -> None:
    pruned = without_channels(case.network, 0.5)
    assert pruned.parameter_count < case.network.parameter_count
    assert pruned(torch.from_numpy(case.rows)).isfinite().all()


@pytest.mark.parametrize("value", CANDIDATES, ids=str)
def test_every_candidate_of_a_transformer_follows_its_torch_model(
    tmp_path: Path, value: Any
) -> None:
    case = ordered_texts()
    inputs = torch.from_numpy(case.training)
    with torch.inference_mode():
        logits = case.network(inputs).clone()
    rows = MemoryRows(inputs, logits.argmax(dim=1), (logits,), torch.arange(len(inputs)))
    training = StudentTrainingSpec(steps=[10], batch_size=50, learning_rate=5e-3)
    loss = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)
    student = Student(case.network, case.training, 0, lambda: Recovery(rows, loss, training, 0))
    form = make_form(spec_of(value), student, tmp_path / "m.onnx")
    found = compare(form.network, tmp_path / "m.onnx", case.rows, value == "int8_dynamic")
    assert found.agreement > 0.97
    assert Case(form.network, case.training, case.rows, case.labels).accuracy > 0.75
    assert not form.exact or found.max_difference < 1e-5


def test_transformer_loses_units_of_its_feed_forward_parts_alone() -> None:
    case = ordered_texts()
    pruned = without_channels(case.network, 0.25)
    before, after = case.network.state_dict(), pruned.state_dict()
    changed = {name for name in before if before[name].shape != after[name].shape}
    assert {name.split("feed_forward.")[-1] for name in changed} == {
        "inner.weight",
        "inner.bias",
        "output.weight",
    }
    assert pruned.body[0].layers[0].feed_forward.inner.out_features == 24
