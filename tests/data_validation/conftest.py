"""A small data set on disk, and the two stages that look at it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.recipe import DataSpec, ValidationSpec, parse_section


def rows(count: int = 60, seed: int = 0) -> dict[str, list[Any]]:
    """Columns id, a, b and label, with three classes of equal size."""
    values = np.random.default_rng(seed).normal(size=(2, count))
    return {
        "id": [f"r{row}" for row in range(count)],
        "a": values[0].tolist(),
        "b": values[1].tolist(),
        "label": ["x", "y", "z"] * (count // 3),
    }


def data_spec(uri: Path | str, **fields: Any) -> DataSpec:
    """A recipe's data section for the columns of :func:`rows`."""
    section = {
        "uri": str(uri),
        "input": {"kind": "tabular", "columns": ["a", "b"]},
        "split": {"by": "random", "test": 0.3, "unlabelled": 0.3},
        **fields,
    }
    return parse_section(DataSpec, section, "data")


@pytest.fixture
def columns() -> dict[str, list[Any]]:
    return rows()


@pytest.fixture
def spec() -> Callable[..., DataSpec]:
    return data_spec


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes columns as ``data.parquet``."""

    def write(columns: dict[str, Any], name: str = "data.parquet") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def check(tmp_path: Path, write: Callable[..., Path]) -> Callable[..., Any]:
    """Resolves and validates columns; limits are those of the recipe but for 10 rows a split."""

    def check(columns: dict[str, Any], limits: dict[str, Any] | None = None, **fields: Any) -> Any:
        resolve(data_spec(write(columns), **fields), tmp_path / "dataset")
        validation = ValidationSpec(**{"min_rows": 10, **(limits or {})})
        return validate(tmp_path / "dataset", validation, tmp_path / "result", tmp_path / "docs")

    return check
