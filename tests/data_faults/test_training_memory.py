"""Training on ten times the rows takes the same memory."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data_validation.resolve import resolve
from components.shared.dataset import Dataset
from components.shared.recipe import DataSpec, parse_section
from components.shared.soft_labels import Views
from tests.data_faults.training_processes import PROCESSES, write_labels

FEATURES = 20
SHARD_ROWS = 400_000
MANY = 4_000_000
STUDENT = {
    "model": {"family": "mlp", "hidden": [8]},
    "training": {"steps": [5, 10], "batch_size": 256},
}


def write_table(folder: Path, rows: int) -> Path:
    """A resolved data set in shards of 400,000 rows, half of them labelled."""
    (folder / "data").mkdir(parents=True)
    random = np.random.default_rng(0)
    for start in range(0, rows, SHARD_ROWS):
        columns: dict[str, Any] = {"id": np.arange(start, start + SHARD_ROWS)}
        for feature in range(FEATURES):
            columns[f"x{feature}"] = random.random(SHARD_ROWS, np.float32)
        columns["label"] = pa.DictionaryArray.from_arrays(
            random.integers(0, 3, SHARD_ROWS, np.int8), ["a", "b", "c"]
        )
        split = (np.arange(SHARD_ROWS) % 2).astype(np.int8)
        columns["split"] = pa.DictionaryArray.from_arrays(split, ["labelled", "unlabelled"])
        pq.write_table(
            pa.table(columns),
            folder / "data" / f"part-{start:08d}.parquet",
            compression="none",
            use_dictionary=["label", "split"],
        )
    section = {
        "uri": str(folder / "data"),
        "id": "id",
        "input": {"kind": "tabular", "columns": [f"x{feature}" for feature in range(FEATURES)]},
        "split": {"by": "column", "column": "split"},
        "classes": ["a", "b", "c"],
    }
    resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
    return folder / "dataset"


def train(arguments: dict[str, Any], peak: Any) -> None:
    """In a process: train the student, and tell its peak memory in KiB."""
    from components.training import steps

    steps.train_student(**arguments)
    peak.value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_memory(folder: Path, rows: int, arm: str) -> int:
    dataset = write_table(folder, rows)
    arguments = {
        "dataset": dataset,
        "dataset_digest": Dataset.open(dataset).manifest.digest,
        "soft_labels_folder": str(folder / "labels"),
        "soft_labels_digest": write_labels(dataset, folder / "labels", 65_536, Views()),
        "arm": arm,
        "student": STUDENT,
        "distillation": {"temperature": 2, "weight": 0.9},
        "seed": 0,
        "output": folder / "model",
    }
    peak = PROCESSES.Value("l", 0)
    process = PROCESSES.Process(target=train, args=(arguments, peak))
    process.start()
    process.join()
    assert process.exitcode == 0
    return int(peak.value)


@pytest.mark.parametrize("arm", ["student", "hard_label"])
def test_ten_times_the_rows_take_the_same_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    monkeypatch.setenv("KUBEDISTILL_CACHE_DIR", str(tmp_path / "cache"))
    few = peak_memory(tmp_path / "few", MANY // 10, arm)
    for number in range(3):  # threads that the machine holds up leave more waiting
        many = peak_memory(tmp_path / f"many-{number}", MANY, arm)
        if many <= 1.2 * few:
            break
    print(f"{arm}: {few / 1024:.0f} MiB for 400,000 rows, {many / 1024:.0f} MiB for 4,000,000")
    assert many <= 1.2 * few
