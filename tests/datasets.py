"""Small data sets on disk, for tests of what reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.resolve import resolve
from components.shared.dataset import Dataset
from components.shared.recipe import DataSpec, parse_section

ROWS = 120
Section = dict[str, Any]
RANDOM: Section = {"by": "random", "unlabelled": 0.3, "test": 0.3}
BY_COLUMN: Section = {"by": "column", "column": "fold"}


def table() -> pa.Table:
    """Rows with holes: labels that are missing, and rows that are in no split."""
    generator = np.random.default_rng(0)
    return pa.table(
        {
            "id": [f"r{row}" for row in range(ROWS)],
            "a": generator.normal(size=ROWS),
            "b": generator.integers(0, 9, ROWS),
            "label": [("x", "y", None)[row % 3] if row % 5 else "y" for row in range(ROWS)],
            "fold": generator.choice(["labelled", "unlabelled", "test", None], ROWS).tolist(),
            "place": generator.choice(["here", "there"], ROWS),
        }
    )


def write_files(folder: Path, rows: pa.Table, files: int, group: int) -> list[Path]:
    """Write rows to some files, of one row group for each ``group`` rows."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:02}.parquet" for number in range(files)]
    for number, path in enumerate(paths):
        low, high = (len(rows) * edge // files for edge in (number, number + 1))
        pq.write_table(rows.slice(low, high - low), path, row_group_size=group)
    return paths


def section_of(uri: str | Path, **fields: Any) -> DataSpec:
    """A recipe's data section for the columns of :func:`table`."""
    section = {
        "uri": str(uri),
        "input": {"kind": "tabular", "columns": ["a", "b"]},
        "split": RANDOM,
        "slices": ["place", "b"],
        **fields,
    }
    return parse_section(DataSpec, section, "data")


def resolved(uri: str | Path, folder: Path, **fields: Any) -> Dataset:
    """The data set at a URI, resolved into a folder."""
    resolve(section_of(uri, **fields), folder)
    return Dataset.open(folder)


def write_dataset(
    root: Path, rows: pa.Table | None = None, files: int = 1, group: int = ROWS, **fields: Any
) -> Dataset:
    """Write rows, by default those of :func:`table`, and resolve them, both below ``root``."""
    write_files(root / "data", table() if rows is None else rows, files, group)
    return resolved(root / "data", root / "dataset", **fields)


def places(dataset: Dataset) -> list[Path]:
    """The files of a data set."""
    return [Path(shard.path) for shard in dataset.manifest.shards]
