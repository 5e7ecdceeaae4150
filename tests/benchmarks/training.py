"""What training from the store costs, and what it saves.

Against a bare PyTorch loop on in-memory tensors with hard labels, and against the same training
with the teacher run online in every step. All in turn in one process on one thread, so that a
machine that drifts is the same for each.
"""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from components.data_validation.resolve import resolve
from components.shared.dataset import Dataset
from components.shared.networks import Classifier
from components.shared.pieces import pieces_of
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import DataSpec, MlpSpec, TrainingSpec, parse_section
from components.shared.recipe.objectives import Kd
from components.shared.soft_labels import SoftLabels, SoftLabelWriter, StoreIdentity, TeacherRef
from components.shared.storage import LocalStorage
from components.shared.training.objectives import DistillationLoss
from components.shared.training.rows import Batch, TrainingRows
from components.shared.training.rows.memory import BatchSampler, MemoryRows
from components.shared.training.rows.opening import LIMIT, open_rows
from components.shared.training.trainer import fit
from tests.benchmarks.repeatable import repeatable
from tests.benchmarks.results import Result, result

ROWS, COLUMNS, CLASSES = 100_000, 64, [str(number) for number in range(10)]
STUDENT = MlpSpec(family="mlp", hidden=[512, 512])
TEACHER = MlpSpec(family="mlp", hidden=[1024, 1024, 1024])
SPEC = TrainingSpec(steps=160, batch_size=512, learning_rate=1e-3)
LOSS = DistillationLoss((Kd(kind="kd"),), weight=0.9, temperature=2.0)
REPETITIONS = 5


@dataclass(frozen=True)
class Case:
    """The same rows in memory and in a record file, and what is trained on them."""

    data: Dataset
    preprocessing: Preprocessing
    memory: MemoryRows
    file: TrainingRows

    def network(self, spec: MlpSpec) -> Classifier:
        """A freshly initialised model."""
        torch.manual_seed(0)
        return Classifier.build(spec, self.data.manifest.input, self.preprocessing, len(CLASSES))


@contextlib.contextmanager
def prepared() -> Iterator[Case]:
    """A table of random numbers with soft labels."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as temporary:
        folder = Path(temporary)
        os.environ["KUBEDISTILL_CACHE_DIR"] = str(folder / "cache")
        random = np.random.default_rng(0)
        columns: dict[str, Any] = {
            f"x{number}": random.normal(size=ROWS).astype(np.float32) for number in range(COLUMNS)
        }
        columns["label"] = random.choice(CLASSES, ROWS)
        columns["split"] = np.resize(["labelled", "unlabelled"], ROWS)
        pq.write_table(pa.table(columns), folder / "rows.parquet")
        section = {
            "uri": str(folder / "rows.parquet"),
            "id": "@position",
            "input": {"kind": "tabular", "columns": list(columns)[:COLUMNS]},
            "split": {"by": "column", "column": "split"},
            "classes": CLASSES,
        }
        resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
        data = Dataset.open(folder / "dataset")
        store = _label(data, folder / "labels", random)
        memory, preprocessing = open_rows(data, store, torch.device("cpu"))
        os.environ[LIMIT] = "0"
        try:
            in_file = open_rows(data, store, torch.device("cpu")).rows
        finally:
            del os.environ[LIMIT], os.environ["KUBEDISTILL_CACHE_DIR"]
        assert isinstance(memory, MemoryRows)
        yield Case(data, preprocessing, memory, in_file)


def _label(data: Dataset, folder: Path, random: np.random.Generator) -> SoftLabels:
    manifest = data.manifest
    identity = StoreIdentity(
        dataset_digest=manifest.digest,
        teachers=[TeacherRef(digest="t" * 64, weight=1.0)],
        classes=manifest.classes,
        preprocessing_digest="p" * 64,
        piece_rows=8192,
    )
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    pieces = pieces_of(manifest, identity.piece_rows)
    for index, rows in enumerate(data.read_pieces(pieces, "labelled", "unlabelled", "test")):
        logits = random.normal(size=(len(rows), 1, len(CLASSES))).astype(np.float32)
        writer.write(index, rows.names, logits)
    writer.seal()
    return SoftLabels.open(folder, dataset_digest=manifest.digest, classes=manifest.classes)


def from_store(case: Case, rows: TrainingRows) -> float:
    """Seconds of our training."""
    network = case.network(STUDENT)
    started = time.perf_counter()
    fit(network, rows, LOSS, SPEC, seed=0, label="benchmark")
    return time.perf_counter() - started


def online(case: Case, rows: TrainingRows) -> float:
    """Seconds of the same training with the teacher run in every step."""
    network, teacher = case.network(STUDENT), case.network(TEACHER).eval()

    def loss(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        with torch.no_grad():
            targets = teacher(batch.inputs)
        return LOSS(logits, batch._replace(teacher_logits=targets), progress)

    started = time.perf_counter()
    fit(network, rows, loss, SPEC, seed=0, label="benchmark")
    return time.perf_counter() - started


def bare_loop(case: Case) -> float:
    """Seconds of what one would write by hand for tensors with hard labels."""
    network = case.network(STUDENT)
    inputs = case.memory.inputs
    labels = case.memory.targets.clamp(min=0)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=SPEC.learning_rate, weight_decay=SPEC.weight_decay, fused=True
    )
    sampler = BatchSampler(len(inputs), SPEC.batch_size, torch.Generator().manual_seed(0))
    started = time.perf_counter()
    for _ in range(SPEC.steps):
        rows = sampler.next()
        loss = F.cross_entropy(network(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return time.perf_counter() - started


def forward(case: Case, spec: MlpSpec) -> float:
    """Seconds of as many forward passes as a training has steps."""
    network, inputs = case.network(spec).eval(), case.memory.inputs[: SPEC.batch_size]
    started = time.perf_counter()
    with torch.no_grad():
        for _ in range(SPEC.steps):
            network(inputs)
    return time.perf_counter() - started


def figures(case: Case) -> list[Result]:
    """All are timed in turn; the figures are medians over the turns."""
    measures: dict[str, Callable[[], float]] = {
        "bare": lambda: bare_loop(case),
        "memory": lambda: from_store(case, case.memory),
        "file": lambda: from_store(case, case.file),
        "online": lambda: online(case, case.file),
        "teacher": lambda: forward(case, TEACHER),
        "student": lambda: forward(case, STUDENT),
    }
    times: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(REPETITIONS + 1):
        for name, measure in measures.items():
            seconds = measure()
            if turn:  # the first one warms up
                times[name].append(seconds)

    def against(numerator: str, denominator: str) -> list[float]:
        return [a / b for a, b in zip(times[numerator], times[denominator], strict=True)]

    kinds = {kind: against("bare", kind) for kind in ("memory", "file")}
    slower = min(kinds, key=lambda kind: statistics.median(kinds[kind]))
    bounds = [1 + ratio / 3 for ratio in against("teacher", "student")]
    speedups = against("online", "file")
    shares = [speedup / bound for speedup, bound in zip(speedups, bounds, strict=True)]
    medians = {kind: statistics.median(ratios) for kind, ratios in kinds.items()}
    return [
        result(
            "train_vs_bare_loop",
            kinds[slower],
            "ratio",
            0.90,
            "steps per second from the store, against a bare hard-label loop on in-memory tensors; "
            f"the slower of rows in memory ({medians['memory']:.2f}) and in a record file "
            f"({medians['file']:.2f})",
            better="higher",
        ),
        result(
            "cached_vs_online",
            shares,
            "ratio",
            0.85,
            f"speed-up over the teacher run in every step ({statistics.median(speedups):.2f}), as "
            f"a share of the bound 1 + F_T/(3 F_S) ({statistics.median(bounds):.2f})",
            better="higher",
        ),
    ]


def measure(report: Callable[[str], None]) -> list[Result]:
    """Train in each way, in turn."""
    report("training: from the store, by a bare loop, and with the teacher online")
    with repeatable(), prepared() as case:
        return figures(case)


if __name__ == "__main__":
    for row in measure(print):
        print(row)
