"""What labelling costs beside the teacher's own work.

The teacher is a small convolutional network on images of MNIST's size: cheap a row, as teachers go,
so that all else weighs.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components.data_validation.resolve import resolve
from components.shared.bundle import load_network, save_bundle
from components.shared.dataset import SPLITS, Dataset
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, DataSpec, ImageInput, parse_section
from components.soft_labels.planning import batch_rows
from components.soft_labels.steps import generate_soft_labels
from tests.benchmarks.results import Result, result

REPETITIONS = 3
ROWS = 32_768
IMAGE = ImageInput(kind="image", size=[1, 28, 28])
CLASSES = [str(number) for number in range(10)]
TEACHER = CnnSpec(family="cnn", channels=[32, 64], hidden=128)


def measure(report: Callable[[str], None]) -> list[Result]:
    """Label a data set, and run the bare network over the same batches, in turn."""
    ratios = []
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as name:
        folder = Path(name)
        digest = write_data(folder)
        teacher_digest = write_teacher(folder / "teacher", digest)
        for repetition in range(REPETITIONS):
            report(f"labelling, repetition {repetition + 1} of {REPETITIONS}")
            bare = seconds_of_forward(folder)
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                generate_soft_labels(
                    folder / "dataset",
                    digest,
                    folder / "teacher",
                    teacher_digest,
                    {},
                    "",
                    folder / f"labels-{repetition}",
                )
            ratios.append(bare / (time.perf_counter() - started))
    return [
        result(
            "label_vs_forward",
            ratios,
            "ratio",
            0.90,
            f"the whole labelling step, from Parquet into the store, against the teacher's bare "
            f"forward on the same batches in memory, in turn ({ROWS} images of 28x28; two "
            "convolutions of 32 and 64 channels)",
            better="higher",
        )
    ]


def write_data(folder: Path) -> str:
    """A resolved data set of random images; returns its digest."""
    pixels = np.random.default_rng(0).integers(256, size=ROWS * 784, dtype=np.uint8)
    split = np.full(ROWS, "unlabelled")
    split[::10], split[1::10] = "labelled", "test"
    table = pa.table(
        {
            "id": [f"row-{number:07d}" for number in range(ROWS)],
            "label": pa.array(np.arange(ROWS) % len(CLASSES)).cast(pa.string()),
            "split": split,
            "image": pa.FixedSizeListArray.from_arrays(pixels, 784),
        }
    )
    pq.write_table(table, folder / "rows.parquet", row_group_size=16_384)
    section = {
        "uri": str(folder / "rows.parquet"),
        "input": IMAGE.model_dump(),
        "split": {"by": "column", "column": "split"},
        "classes": CLASSES,
    }
    return resolve(parse_section(DataSpec, section, "data"), folder / "dataset").digest


def write_teacher(folder: Path, dataset_digest: str) -> str:
    """An untrained teacher, which is as fast as a trained one; returns its digest."""
    preprocessing = Preprocessing(mean=[127.0], std=[74.0])
    torch.manual_seed(0)
    network = Classifier.build(TEACHER, IMAGE, preprocessing, len(CLASSES))
    return save_bundle(
        folder,
        network,
        role="teacher",
        model=TEACHER,
        input=IMAGE,
        preprocessing=preprocessing,
        classes=CLASSES,
        seed=0,
        dataset_digest=dataset_digest,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    ).digest


@torch.inference_mode()
def seconds_of_forward(folder: Path) -> float:
    """Of the network over all rows in memory, in the batches of a CPU."""
    inputs = torch.from_numpy(Dataset.open(folder / "dataset").load(*SPLITS).inputs)
    _, network = load_network(folder / "teacher")
    batches = inputs.split(batch_rows(IMAGE.shape))
    started = time.perf_counter()
    for batch in batches:
        network(batch)
    return time.perf_counter() - started


if __name__ == "__main__":
    for row in measure(print):
        print(row)
