"""What reading a data set costs beside pyarrow alone."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.resolve import resolve
from components.shared.dataset import SPLITS, Dataset
from components.shared.recipe import DataSpec, parse_section
from tests.benchmarks.results import Result, result

ROWS = 1_000_000
FILES = 8
BATCH = 8192
COLUMNS = [f"x{number}" for number in range(20)]
REPETITIONS = 9


def measure(report: Callable[[str], None]) -> list[Result]:
    """The two rows of reading."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as name:
        folder = Path(name)
        report(f"reading: writing {ROWS:,} rows")
        files = write(folder / "data")
        resolve(section(folder / "data"), folder / "dataset")
        first, further = [], []
        for number in range(REPETITIONS + 1):
            forget_hashes(files, number)
            alone = timed(lambda: read_alone(files))
            first.append(alone / timed(lambda: read_dataset(folder / "dataset")))
            alone = timed(lambda: read_alone(files))
            further.append(alone / timed(lambda: read_dataset(folder / "dataset")))
            report(
                f"  {number} of {REPETITIONS}: {ROWS / alone:,.0f} rows/s alone; of these, "
                f"{first[-1]:.3f} with files hashed, {further[-1]:.3f} without"
            )
    how = (
        f"rows/s of Dataset.batches over {ROWS:,} rows in {FILES} Parquet files with "
        f"{len(COLUMNS)} float32 columns, ids, labels and a random split, against "
        f"ParquetFile.iter_batches alone to float32 arrays of {BATCH} rows: "
    )
    return [
        result(
            "parquet_vs_pyarrow",
            further[1:],
            "ratio",
            0.8,
            how + "files that the process has hashed before, as in every pass but the first",
            better="higher",
        ),
        result(
            "parquet_first_read_vs_pyarrow",
            first[1:],
            "ratio",
            0.6,
            how + "the first pass, which also checks every file's SHA-256",
            better="higher",
        ),
    ]


def forget_hashes(files: list[Path], number: int) -> None:
    """Files with another time of modification are hashed again; it is long ago, so that the hash
    is remembered."""
    for file in files:
        os.utime(file, (number, number))


def write(folder: Path) -> list[Path]:
    """Files of random numbers."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    count = ROWS // FILES
    files = []
    for number in range(FILES):
        columns = {
            "id": [f"row-{number * count + row:08}" for row in range(count)],
            "label": generator.integers(0, 10, count),
        }
        columns |= {name: generator.normal(size=count).astype(np.float32) for name in COLUMNS}
        files.append(folder / f"{number}.parquet")
        pq.write_table(pa.table(columns), files[-1])
    return files


def section(folder: Path) -> DataSpec:
    """A recipe's data section for these files."""
    fields = {
        "uri": str(folder),
        "input": {"kind": "tabular", "columns": COLUMNS},
        "split": {"by": "random", "unlabelled": 0.5, "test": 0.2},
    }
    return parse_section(DataSpec, fields, "data")


def read_dataset(folder: Path) -> None:
    """Every row as the steps read it."""
    rows = 0
    for batch in Dataset.open(folder).batches(*SPLITS, rows=BATCH):
        rows += len(batch.inputs)
    assert rows == ROWS


def read_alone(files: list[Path]) -> None:
    """Every row by pyarrow and NumPy, into the same arrays."""
    rows = 0
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(BATCH, columns=["id", "label", *COLUMNS]):
                inputs = np.empty((batch.num_rows, len(COLUMNS)), np.float32)
                for position, name in enumerate(COLUMNS):
                    inputs[:, position] = batch.column(name).to_numpy()
                _, _ = batch.column("id"), batch.column("label").to_numpy()
                rows += len(inputs)
    assert rows == ROWS


def timed(work: Callable[[], None]) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(measure(print))
