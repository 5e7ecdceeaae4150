"""What resolving and reading a data set needs in memory, for many rows and for a tenth of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COLUMNS = [f"x{number}" for number in range(8)]
MANY, FEW = 4_000_000, 400_000
ROWS_OF_A_FILE = 1_000_000
MOST = 1.2
"""Times the memory of a tenth of the rows: what the data plane promises of labelling and training.
Threads that the machine holds up leave more waiting for one another."""
BYTES_A_ROW = 100
"""For the id, the label, and the drawing of the split."""

WORK = """
import sys
from pathlib import Path
from components.data_validation.resolve import resolve
from components.shared.dataset import SPLITS, Dataset
from components.shared.pieces import pieces_of, share_of
from components.shared.recipe import DataSpec, parse_section
from tests.benchmarks.evaluation import peak_of_this_process

work, root, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
columns = [f"x{number}" for number in range(8)]
if work == "resolve":
    table = {"kind": "tabular", "columns": columns}
    section = {"uri": str(root / "data"), "input": table, "split": {"by": "random", "test": 0.2}}
    resolve(parse_section(DataSpec, section, "data"), root / "dataset")
else:
    dataset = Dataset.open(root / "dataset")
    pieces = pieces_of(dataset.manifest, 50_000)
    found = {
        "batches": lambda: dataset.batches("labelled", "test"),
        "pieces": lambda: dataset.read_pieces(pieces, *SPLITS),
    }[work]()
    assert sum(len(part) for part in found) == rows
print(peak_of_this_process())
"""


def write(root: Path, rows: int) -> None:
    """Files of one row group each: a reader must not hold a whole one."""
    (root / "data").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for first in range(0, rows, ROWS_OF_A_FILE):
        count = min(ROWS_OF_A_FILE, rows - first)
        ids = [f"row-{first + row:08}" for row in range(count)]
        columns = {"id": ids, "label": generator.choice(["yes", "no"], count)}
        columns |= {name: generator.random(count, np.float32) for name in COLUMNS}
        path = root / "data" / f"{first:08}.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=count)


def peak(work: str, root: Path, rows: int) -> int:
    """Bytes at the peak of a process that does the work: the lesser of two, since threads that the
    machine holds up make it 10 % more at times."""
    command = [sys.executable, "-c", WORK, work, str(root), str(rows)]
    return min(
        int(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
        for _ in range(2)
    )


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, int]]:
    """By work and rows."""
    root = tmp_path_factory.mktemp("memory")
    found: dict[str, dict[int, int]] = {"resolve": {}, "batches": {}, "pieces": {}}
    for rows in (FEW, MANY):
        write(root / str(rows), rows)
        for work, by_rows in found.items():
            by_rows[rows] = peak(work, root / str(rows), rows)
    for work, by_rows in found.items():
        print(work, ", ".join(f"{rows:,} rows: {size >> 20} MiB" for rows, size in by_rows.items()))
    return found


@pytest.mark.parametrize("work", ["batches", "pieces"])
def test_reading_ten_times_the_rows_takes_no_more_memory(
    peaks: dict[str, dict[int, int]], work: str
) -> None:
    assert peaks[work][MANY] <= MOST * peaks[work][FEW]


def test_resolving_takes_a_few_bytes_a_row(peaks: dict[str, dict[int, int]]) -> None:
    assert (peaks["resolve"][MANY] - peaks["resolve"][FEW]) / (MANY - FEW) < BYTES_A_ROW
    assert peaks["resolve"][MANY] < 600e6
