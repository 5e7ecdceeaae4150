"""Two registered linear models, and rows that are fresh to both."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.fresh.collect import fresh_rows
from components.data_validation.fresh.spec import FreshRowsSpec
from components.evaluation.comparing.compare import compare_models
from components.evaluation.comparing.policy import Policy
from components.shared.files import write_atomically
from components.shared.registered import RegisteredModel
from components.shared.results import CHAMPION_RECORD, ChampionRecord, Comparison

FAST = {"latency": {"budget_s": 0.01, "attempts": 1}}
REGISTERED = datetime(2026, 11, 1, tzinfo=UTC)
WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))
"""Of the model that gives the rows their classes."""

MakeRegistered = Callable[..., RegisteredModel]
Collect = Callable[[RegisteredModel, RegisteredModel, int, int], Path]
Compare = Callable[..., Comparison]


@pytest.fixture
def make_registered(tmp_path: Path, make_model: Callable[..., Path]) -> MakeRegistered:
    """Write a linear model as fetch_version leaves it."""

    def make(
        role: str, version: str, noise: float, weights: np.ndarray = WEIGHTS, **form: Any
    ) -> RegisteredModel:
        weights = weights + noise * np.random.default_rng(1).normal(size=weights.shape)
        folder = make_model(tmp_path / "models" / version, weights, dataset_digest="d" * 64, **form)
        record = ChampionRecord(
            state="present", version=version, registered_at=REGISTERED, run_id=f"run-{version}"
        )
        write_atomically(folder / CHAMPION_RECORD, record.model_dump_json())
        return RegisteredModel.read(role, folder)  # type: ignore[arg-type]

    return make


def fresh_inputs(rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their true classes."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(rows, 4)).astype(np.float32)
    noise = 0.2 * generator.normal(size=(rows, 3))
    return inputs, (inputs @ WEIGHTS + noise).argmax(axis=1)


@pytest.fixture
def collect(tmp_path: Path) -> Collect:
    """Collect rows of which some have a label."""

    def run(
        champion: RegisteredModel, challenger: RegisteredModel, rows: int, labelled: int
    ) -> Path:
        inputs, classes = fresh_inputs(rows)
        names = [("ant", "bee", "cat")[label] for label in classes]
        # Labels are scattered: a part of every batch has them.
        with_label = np.random.default_rng(0).permutation(rows) < labelled
        table = pa.table(
            {
                "id": [f"fresh-{row}" for row in range(rows)],
                "label": pa.array(np.where(with_label, names, None), pa.string()),
                **{name: inputs[:, place] for place, name in enumerate("abcd")},
            }
        )
        pq.write_table(table, tmp_path / "fresh.parquet", row_group_size=20_000)
        spec = FreshRowsSpec(uri=str(tmp_path / "fresh.parquet"), id="id", label="label")
        fresh_rows(spec, champion, challenger, tmp_path / "fresh")
        return tmp_path / "fresh"

    return run


@pytest.fixture
def compare(collect: Collect) -> Compare:
    """Compare two models on rows of which some have a label."""

    def run(
        champion: RegisteredModel,
        challenger: RegisteredModel,
        rows: int = 600,
        labelled: int = 300,
        **policy: Any,
    ) -> Comparison:
        folder = collect(champion, challenger, rows, labelled)
        wanted = Policy.model_validate(FAST | policy)
        return compare_models("insect-student", folder, champion, challenger, wanted)

    return run
