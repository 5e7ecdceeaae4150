"""A small data set, and ONNX models of known quality, written in the formats of the pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.shared.bundle import (
    BUNDLE,
    Candidate,
    CurvePoint,
    Fit,
    Followed,
    ModelBundle,
    Selection,
)
from components.shared.candidates import CandidateDescription, CandidateSet, write_candidates
from components.shared.dataset import MANIFEST, DatasetManifest, Shard
from components.shared.deployable import DEPLOYABLE, INPUT_NAME, ONNX_FILE, OUTPUT_NAME, Deployable
from components.shared.files import digest_of, sha256_file, write_atomically
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import MlpSpec, TabularInput
from components.shared.results import CHAMPION_RECORD, ChampionRecord
from components.shared.results.validation import VALIDATION, CheckResult, ValidationResult

CLASSES = ["ant", "bee", "cat"]
COLUMNS = ["a", "b", "c", "d"]
TEST_ROWS = 240


@dataclass(frozen=True)
class Problem:
    """Rows whose class a linear model knows, with the manifest that describes them."""

    folder: Path
    inputs: np.ndarray
    """Test rows, shape (rows, 4)."""
    labels: np.ndarray
    weights: np.ndarray
    """Of the linear model that made the labels, shape (4, 3)."""
    digest: str


MakeProblem = Callable[..., Problem]
MakeModel = Callable[..., Path]


@pytest.fixture(scope="session")
def make_problem() -> MakeProblem:
    """Write a resolved data set: test rows and a few labelled ones, in one shard or several."""

    def make(
        folder: Path,
        test_rows: int = TEST_ROWS,
        hidden_label: int | None = None,
        slices: Sequence[str] = (),
        shards: int = 1,
    ) -> Problem:
        generator = np.random.default_rng(7)
        weights = generator.normal(size=(4, 3))
        rows = test_rows + 10
        inputs = generator.normal(size=(rows, 4)).astype(np.float32)
        labels = (inputs @ weights + 0.3 * generator.normal(size=(rows, 3))).argmax(axis=1)
        names: list[str | None] = [CLASSES[label] for label in labels]
        if hidden_label is not None:
            names[hidden_label] = None
        table = pa.table(
            {
                "id": [f"row-{number}" for number in range(rows)],
                "label": names,
                "split": ["test"] * test_rows + ["labelled"] * 10,
                "region": [("north", "south", None)[number % 3] for number in range(rows)],
                **{name: inputs[:, position] for position, name in enumerate(COLUMNS)},
            }
        )
        folder.mkdir(parents=True)
        edges = [rows * number // shards for number in range(shards + 1)]
        written = [
            write_shard(folder / f"rows-{low}.parquet", table.slice(low, high - low))
            for low, high in pairwise(edges)
        ]
        digest = digest_of([[shard.sha256 for shard in written], CLASSES, list(slices)])
        manifest = DatasetManifest(
            source="file:///data/insects.parquet",
            id="id",
            label="label",
            input=TabularInput(columns=COLUMNS),
            classes=CLASSES,
            column_types={"id": "string", "label": "string", **dict.fromkeys(COLUMNS, "float")},
            slices=list(slices),
            shards=written,
            assignment=None,
            split_column="split",
            split_seed=None,
            rows={"labelled": 10, "unlabelled": 0, "test": test_rows},
            digest=digest,
        )
        write_atomically(folder / MANIFEST, manifest.model_dump_json())
        return Problem(folder, inputs[:test_rows], labels[:test_rows], weights, digest)

    return make


def write_shard(path: Path, table: pa.Table) -> Shard:
    """Write rows as a shard beside the manifest."""
    pq.write_table(table, path)
    size = path.stat().st_size
    return Shard(path=path.name, rows=table.num_rows, bytes=size, sha256=sha256_file(path))


@pytest.fixture(scope="session")
def problem(make_problem: MakeProblem, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return make_problem(tmp_path_factory.mktemp("problem") / "dataset")


def linear_model(
    weights: np.ndarray, softmax: bool = True, scale: float = 1.0, shift: float = 0.0
) -> onnx.ModelProto:
    """softmax(input @ weights) * scale + shift; the softmax can be left out."""
    activation = "Softmax" if softmax else "Identity"
    nodes = [
        helper.make_node("MatMul", [INPUT_NAME, "weights"], ["logits"]),
        helper.make_node(activation, ["logits"], ["activated"]),
        helper.make_node("Mul", ["activated", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], [OUTPUT_NAME]),
    ]
    features, classes = weights.shape
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["rows", classes])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(np.array(scale, np.float32), "scale"),
            numpy_helper.from_array(np.array(shift, np.float32), "shift"),
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Write a deployable folder with a linear model."""

    def make(
        folder: Path,
        weights: np.ndarray,
        *,
        dataset_digest: str,
        role: str = "student",
        classes: list[str] = CLASSES,
        columns: list[str] = COLUMNS,
        **form: Any,
    ) -> Path:
        folder.mkdir(parents=True)
        onnx.save(linear_model(weights, **form), folder / ONNX_FILE)
        description = Deployable(
            role=role,
            input=TabularInput(columns=columns),
            classes=classes,
            parameters=weights.size,
            dataset_digest=dataset_digest,
            bundle_digest="b" * 64,
            teacher_digest=None,
            max_difference=0.0,
            checked_rows=10,
            onnx_sha256=sha256_file(folder / ONNX_FILE),
        )
        write_atomically(folder / DEPLOYABLE, description.model_dump_json())
        return folder

    return make


@pytest.fixture(scope="session")
def weights(problem: Problem) -> dict[str, np.ndarray]:
    """Of the four trained arms, from the teacher down to the hard-label arm."""
    noise = np.random.default_rng(1).normal(size=problem.weights.shape)
    scale = {"teacher": 0.0, "student": 0.1, "pseudo_label": 0.2, "hard_label": 1.0}
    return {arm: problem.weights + size * noise for arm, size in scale.items()}


@pytest.fixture(scope="session")
def arms(
    problem: Problem,
    weights: dict[str, np.ndarray],
    make_model: MakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """The trained arms but the student, which is among the candidates."""
    root = tmp_path_factory.mktemp("arms")
    return {
        arm: make_model(root / arm, weights[arm], dataset_digest=problem.digest, role=arm)
        for arm in ("teacher", "pseudo_label", "hard_label")
    }


@pytest.fixture(scope="session")
def make_candidates(make_model: MakeModel) -> MakeModel:
    """Write a candidate set of linear models."""

    def make(
        folder: Path, forms: Mapping[str, np.ndarray], dataset_digest: str, **difference: Any
    ) -> Path:
        for name, values in forms.items():
            make_model(folder / name, values, dataset_digest=dataset_digest, **difference)
        made = [
            CandidateDescription(name=name, how=f"made as {name}", agreement=1.0) for name in forms
        ]
        write_candidates(folder, CandidateSet(candidates=made, skipped=[]))
        return folder

    return make


@pytest.fixture(scope="session")
def candidates(
    problem: Problem,
    weights: dict[str, np.ndarray],
    make_candidates: MakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The student as it was trained, alone."""
    folder = tmp_path_factory.mktemp("candidates")
    return make_candidates(folder, {"float32": weights["student"]}, problem.digest)


@pytest.fixture(scope="session")
def no_champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What fetch_champion writes where nothing was ever registered."""
    folder = tmp_path_factory.mktemp("no_champion")
    record = ChampionRecord(state="first_model", version=None)
    write_atomically(folder / CHAMPION_RECORD, record.model_dump_json())
    return folder


@pytest.fixture(scope="session")
def make_champion(make_model: MakeModel) -> MakeModel:
    """Write what fetch_champion writes where version 7 is the champion."""

    def make(folder: Path, weights: np.ndarray, **difference: Any) -> Path:
        make_model(folder, weights, dataset_digest="c" * 64, **difference)
        record = ChampionRecord(state="present", version="7", dataset_digest="c" * 64)
        write_atomically(folder / CHAMPION_RECORD, record.model_dump_json())
        return folder

    return make


@pytest.fixture(scope="session")
def bundles(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Descriptions of the trained arms, as the report reads them; no weights."""
    root = tmp_path_factory.mktemp("bundles")
    tried = [
        Candidate(
            steps=steps,
            temperature=2.0,
            weight=0.9,
            score=0.9,
            standard_error=0.02,
            fitted=0.95,
            ahead=2,
            behind=2,
        )
        for steps in (2, 8)
    ]
    selection = Selection(judge="agreement", candidates=tried, chosen=0, held_out=150, fitted=150)
    fit = Fit(labelled=None, unlabelled=Followed(rows=300, agreeing=280, confidence=0.8))
    for arm in ("teacher", "student", "hard_label", "pseudo_label"):
        bundle = ModelBundle(
            role=arm,
            model=MlpSpec(family="mlp", hidden=[4]),
            input=TabularInput(columns=COLUMNS),
            preprocessing=Preprocessing(mean=[0.0] * 4, std=[1.0] * 4),
            classes=CLASSES,
            parameters=12,
            seed=0,
            dataset_digest=problem.digest,
            soft_labels_digest=None,
            selection=selection if arm == "student" else None,
            curve=[CurvePoint(step=1, loss=1.0), CurvePoint(step=2, loss=0.5)],
            fit=fit if arm == "student" else None,
            weights_sha256="0" * 64,
        )
        write_atomically(root / arm / BUNDLE, bundle.model_dump_json())
    return {path.name: path for path in root.iterdir()}


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What validate_data left: one check holds, and of one it warns."""
    folder = tmp_path_factory.mktemp("validation")
    found = {"expectation": "expect_x", "column": None, "observed": None}
    result = ValidationResult(
        success=True,
        dataset_digest="d" * 64,
        checked_digest="d" * 64,
        suite_hash="s" * 64,
        checks=[
            CheckResult(name="nan", status="passed", message="no feature is NaN", **found),
            CheckResult(name="drift", status="warned", message="2 columns moved", **found),
            CheckResult(name="coverage", status="passed", message="all are covered", **found),
        ],
        rows={"labelled": 1, "unlabelled": 1, "test": 1},
        quarantined=0,
        notes=[],
    )
    write_atomically(folder / VALIDATION, result.model_dump_json())
    return folder
