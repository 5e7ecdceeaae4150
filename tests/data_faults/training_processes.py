"""Training steps in processes of their own, which die when a test wants it."""

import contextlib
import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.resolve import resolve
from components.shared.bundle import ModelBundle, read_bundle
from components.shared.dataset import Dataset
from components.shared.events import parse_event
from components.shared.pieces import pieces_of
from components.shared.recipe import DataSpec, parse_section
from components.shared.soft_labels import SoftLabelWriter, StoreIdentity, TeacherRef, Views
from components.shared.storage import LocalStorage

# A server that has imported torch and forks: a process is there at once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["components.training.steps"])
PATIENCE_S = 120
CLASSES = ["a", "b", "c"]


def write_images(folder: Path, rows: int) -> Path:
    """A resolved data set of tiny images, a quarter of them labelled."""
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "id": [f"image-{row}" for row in range(rows)],
            "image": list(random.integers(0, 256, (rows, 36)).astype(np.float32)),
            "label": random.choice(CLASSES, rows),
            "split": np.resize(["labelled", "unlabelled", "unlabelled", "unlabelled"], rows),
        }
    )
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "images.parquet")
    section = {
        "uri": str(folder / "images.parquet"),
        "input": {"kind": "image", "column": "image", "size": [1, 6, 6]},
        "split": {"by": "column", "column": "split"},
        "classes": CLASSES,
    }
    resolve(parse_section(DataSpec, section, "data"), folder / "dataset")
    return folder / "dataset"


def write_labels(dataset: Path, folder: Path, piece_rows: int, views: Views) -> str:
    """A store with random logits; returns its identity."""
    data = Dataset.open(dataset)
    identity = StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest="t" * 64, weight=1.0)],
        classes=data.manifest.classes,
        preprocessing_digest="p" * 64,
        views=views,
        piece_rows=piece_rows,
    )
    writer = SoftLabelWriter(LocalStorage(folder), identity)
    random = np.random.default_rng(0)
    pieces = pieces_of(data.manifest, piece_rows)
    for index, rows in enumerate(data.read_pieces(pieces, "labelled", "unlabelled", "test")):
        shape = (len(rows), views.count, len(data.manifest.classes))
        writer.write(index, rows.names, random.normal(size=shape).astype(np.float32))
    writer.seal()
    return identity.digest


@dataclass(frozen=True)
class Attempt:
    """What came of a process."""

    status: int
    """Exit status; negative: the signal that killed it."""
    events: list[dict[str, Any]]

    def told(self, name: str) -> list[dict[str, Any]]:
        """The events of a name."""
        return [event for event in self.events if event["event"] == name]


@dataclass(frozen=True)
class Training:
    """One training step, which can be tried again and again."""

    step: str
    arguments: dict[str, Any]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def attempt(self, signal_number: int = 0, at: int = 0) -> Attempt:
        """Run the step, and send it a signal after so many optimizer steps of this process."""
        log = self.folder / "log"
        process = PROCESSES.Process(target=_run, args=(self, log, signal_number, at))
        process.start()
        process.join(PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        events = [parse_event(line) for line in log.read_text().splitlines()]
        status = process.exitcode
        assert status is not None
        return Attempt(status, [event for event in events if event])

    @property
    def bundle_exists(self) -> bool:
        """Whether the step made something."""
        return Path(self.arguments["output"]).exists()

    @property
    def bundle(self) -> ModelBundle:
        """What the step made."""
        return read_bundle(Path(self.arguments["output"]))


def _run(training: Training, log: Path, signal_number: int, at: int) -> None:
    """In the process: do the step, with windows so small that even tiny data have many."""
    from components.shared.training import trainer
    from components.shared.training.rows import record_file, record_rows
    from components.training import steps

    os.environ.update(training.environment)
    record_file._CHUNK_BYTES, record_rows._WINDOW_BYTES = 2**10, 2**13
    advance, done = trainer._Training._advance, 0

    def counted(self: Any) -> float:
        nonlocal done
        done += 1
        if done == at:
            os.kill(os.getpid(), signal_number)
        return advance(self)

    trainer._Training._advance = counted  # type: ignore[method-assign]
    with log.open("w", buffering=1) as file, contextlib.redirect_stdout(file):
        getattr(steps, training.step)(**training.arguments)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
