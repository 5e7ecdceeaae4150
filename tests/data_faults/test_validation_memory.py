"""Validation needs no more memory for ten times the rows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

REPOSITORY = Path(__file__).parents[2]
RESOLVE = """
import sys
from pathlib import Path
from components.data_validation.resolve import resolve
from components.shared.recipe import DataSpec, parse_section
section = {
    "uri": sys.argv[1],
    "input": {"kind": "tabular", "columns": ["a", "b", "c"]},
    "split": {"by": "column"},
}
resolve(parse_section(DataSpec, section, "data"), Path(sys.argv[2]))
"""
VALIDATE = """
import sys
from pathlib import Path
from components.data_validation.validate import validate
from components.shared.recipe import ValidationSpec, parse_section
folder = Path(sys.argv[1])
section = {
    "min_value": -10,
    "max_value": 10,
    "policies": {"nan": "quarantine", "duplicate_id": "quarantine"},
    "expectations": [
        {"expectation": "expect_column_mean_to_be_between", "column": "a", "max_value": 1}
    ],
}
result = validate(
    folder / "dataset",
    parse_section(ValidationSpec, section, "validation"),
    folder / "result",
    folder / "docs",
    checked=folder / "checked",
)
status = Path("/proc/self/status").read_text()  # getrusage counts what the parent held
print(result.quarantined, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def peak(folder, rows):
    """Peak memory in MB of validating so many rows, one in 2,000 of which is taken out."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    step = 200_000
    writer = None
    for start in range(0, rows, step):
        ids = np.arange(start, start + step)
        ids[::2000] = start + 1  # a hundred rows of each step, and the one whose id they have
        table = pa.table(
            {
                "id": [f"row-{number}" for number in ids],
                "split": generator.choice(["labelled", "unlabelled", "test"], step),
                "label": generator.choice(["x", "y"], step),
                **{name: generator.normal(size=step) for name in "abc"},
            }
        )
        writer = writer or pq.ParquetWriter(folder / "data.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    run(RESOLVE, folder / "data.parquet", folder / "dataset")
    quarantined, megabytes = run(VALIDATE, folder)
    assert int(quarantined) == 101 * rows // step
    return float(megabytes)


def test_peak_memory_of_ten_times_the_rows_is_hardly_more(tmp_path):
    small = peak(tmp_path / "small", 400_000)
    for number in range(3):  # threads that the machine holds up leave more waiting
        large = peak(tmp_path / f"large-{number}", 4_000_000)
        if large <= 1.2 * small:
            break
    assert large <= 1.2 * small, f"{large:.0f} MB against {small:.0f} MB"
