"""Memory that labelling takes: the same for data sets of any size, and less where there is less."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.shared.dataset import SPLITS, Dataset
from components.shared.soft_labels import SoftLabels
from tests.data_faults.labelling_data import Prepared, label, prepare

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, resource, sys
from pathlib import Path

import torch

from components.soft_labels import steps
from tests.data_faults.labelling_data import Prepared, label

prepared, output, section, spare = json.loads(sys.argv[1])
torch.set_num_threads(1)
prepared = Prepared(**{name: Path(value) if name in ("dataset", "teacher") else value
                       for name, value in prepared.items()})
if spare:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + spare, size + spare))
label(prepared, Path(output), **section)
status = Path("/proc/self/status").read_text()  # getrusage counts what the parent held
print(status.partition("VmHWM:")[2].split()[0])
"""


def peak_of(prepared: Prepared, output: Path, spare: int = 0, **section: Any) -> int:
    """Label in a process of its own; return the most memory that it had at a time, in KiB.

    Args:
        prepared: what to label.
        output: of the step.
        spare: bytes of address space beside what is taken before labelling; 0 for any number.
        section: of the recipe.
    """
    arguments = json.dumps([asdict(prepared), output, section, spare], default=str)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def test_four_million_rows_take_the_memory_of_four_hundred_thousand(tmp_path: Path) -> None:
    few = prepare(tmp_path / "few", rows=400_000, file_rows=400_000)
    many = prepare(tmp_path / "many", rows=4_000_000, file_rows=400_000)
    peak_of_few = peak_of(few, tmp_path / "labels-of-few")
    for number in range(3):  # threads that the machine holds up leave more waiting
        peak_of_many = peak_of(many, tmp_path / f"labels-of-many-{number}")
        if peak_of_many <= 1.2 * peak_of_few:
            break
    assert peak_of_many <= 1.2 * peak_of_few, (peak_of_many, peak_of_few)


@pytest.fixture
def wide(tmp_path: Path) -> Prepared:
    """A teacher with so many hidden units that a batch takes 800 MB."""
    return prepare(tmp_path, rows=1_100, file_rows=1_100, hidden=100_000)


def test_batches_that_do_not_fit_into_memory_are_halved(wide: Prepared, tmp_path: Path) -> None:
    label(wide, tmp_path / "plenty")
    peak_of(wide, tmp_path / "little", spare=700 * 2**20)
    manifest = Dataset.open(wide.dataset).manifest
    plenty, little = (
        SoftLabels.open(tmp_path / name, dataset_digest=manifest.digest, classes=manifest.classes)
        for name in ("plenty", "little")
    )
    assert plenty.identity == little.identity
    names = Dataset.open(wide.dataset).load(*SPLITS).names
    np.testing.assert_allclose(plenty.logits(names), little.logits(names), rtol=2e-3, atol=1e-4)
