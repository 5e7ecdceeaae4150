"""Our validation of 2 million rows against Great Expectations in memory on the same rows.

Each runs in a process of its own, from its start to its end. Ours checks the shard's hash, reads
Parquet, runs all its checks (overlap of splits by id and by features, drift profile and coverage
too) and writes the Data Docs. Great Expectations reads the same file into a pandas frame and runs
42 expectations: the values of each feature are there and within a range, ids are there and unique,
labels and splits are of a set.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.results import Result, result

ROWS, FEATURES = 2_000_000, 19
CLASSES = list("abcde")
SPLITS = ["labelled", "unlabelled", "test"]
LIMIT = 10.0
REPETITIONS = 3
ROOT = Path(__file__).parents[2]
MODULE = "tests.benchmarks.validation"


def write_data(path: Path, rows: int) -> None:
    """Id, split, label and features: 22 columns, in row groups of 200,000 rows."""
    generator = np.random.default_rng(0)
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("label", pa.string()),
            *((f"f{number}", pa.float64()) for number in range(FEATURES)),
        ]
    )
    step = 200_000
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, step):
            count = min(step, rows - start)
            columns = {
                "id": [f"customer-{row:010d}" for row in range(start, start + count)],
                "split": generator.choice(SPLITS, count, p=[0.2, 0.6, 0.2]),
                "label": generator.choice(CLASSES, count),
                **{f"f{number}": generator.normal(size=count) for number in range(FEATURES)},
            }
            writer.write_table(pa.table(columns, schema))


def resolve_data(data: Path, folder: Path) -> None:
    """What comes before validation in a pipeline; in a process of its own."""
    _finish([sys.executable, "-m", MODULE, "resolve", str(data), str(folder)])


def measure(report: Callable[[str], None]) -> list[Result]:
    """Both in turn, so that a machine that drifts is the same for each."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as temporary:
        folder = Path(temporary)
        data, dataset = folder / "data.parquet", folder / "dataset"
        report(f"validation: writing {ROWS:,} rows of {FEATURES + 3} columns")
        write_data(data, ROWS)
        resolve_data(data, dataset)
        ours, theirs = [], []
        for number in range(1, REPETITIONS + 1):
            report(f"validation {number} of {REPETITIONS}, ours and Great Expectations in memory")
            ours.append(_finish([sys.executable, "-m", MODULE, "ours", str(dataset)]))
            theirs.append(_finish([sys.executable, "-m", MODULE, "theirs", str(data)]))
    pairs = list(zip(ours, theirs, strict=True))
    seconds = [statistics.median(run[0] for run in runs) for runs in (ours, theirs)]
    peaks = [statistics.median(run[1] for run in runs) for runs in (ours, theirs)]
    return [
        result(
            "validate_time_vs_gx",
            [mine[0] / other[0] for mine, other in pairs],
            "ratio",
            1.0,
            f"wall time of the whole process, ours ({seconds[0]:.1f} s) against Great Expectations "
            f"in memory ({seconds[1]:.1f} s), {ROWS:,} rows of {FEATURES + 3} columns",
        ),
        result(
            "validate_memory_vs_gx",
            [mine[1] / other[1] for mine, other in pairs],
            "ratio",
            0.25,
            f"peak resident memory of the same processes, ours ({peaks[0]:.0f} MB) against "
            f"Great Expectations ({peaks[1]:.0f} MB)",
        ),
    ]


def _finish(command: list[str]) -> tuple[float, float]:
    """Run a process: its wall time in seconds, and the peak in MB that it prints."""
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return seconds, float(finished.stdout.splitlines()[-1])


def _resolve(data: str, folder: str) -> None:
    from components.data_validation.resolve import resolve
    from components.shared.recipe import DataSpec, parse_section

    columns = [f"f{number}" for number in range(FEATURES)]
    section = {"uri": data, "input": {"kind": "tabular", "columns": columns}}
    resolve(parse_section(DataSpec, {**section, "split": {"by": "column"}}, "data"), Path(folder))


def _ours(dataset: str) -> None:
    from components.data_validation.validate import validate
    from components.shared.recipe import ValidationSpec

    spec = ValidationSpec(min_value=-LIMIT, max_value=LIMIT)
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as folder:
        outputs = [Path(folder) / name for name in ("result", "docs")]
        found = validate(Path(dataset), spec, *outputs, checked=Path(folder) / "checked")
    if not found.success or found.quarantined:
        raise RuntimeError("good data did not pass")


def _theirs(data: str) -> None:
    import logging

    import pandas as pd

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

    frame = pd.read_parquet(data)
    expectations = [
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=CLASSES),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=SPLITS),
    ]
    for number in range(FEATURES):
        expectations += [
            gxe.ExpectColumnValuesToNotBeNull(column=f"f{number}"),
            gxe.ExpectColumnValuesToBeBetween(
                column=f"f{number}", min_value=-LIMIT, max_value=LIMIT
            ),
        ]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("pandas")
        .add_dataframe_asset("data")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = context.suites.add(gx.ExpectationSuite("all", expectations=expectations))
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(name="all", data=batch, suite=suite)
    )
    if not validation.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY").success:
        raise RuntimeError("good data did not pass")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"resolve": _resolve, "ours": _ours, "theirs": _theirs}[sys.argv[1]](*sys.argv[2:])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        for row in measure(print):
            print(row)
