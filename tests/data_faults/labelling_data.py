"""Tables of any length and a small teacher for them, on disk, made without the resolver."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.dataset import MANIFEST, Dataset, DatasetManifest
from components.shared.files import sha256_file
from components.shared.manifest import Shard
from components.shared.recipe import POSITION, MlpSpec, TabularInput

COLUMNS = ["a", "b", "c", "d"]
CLASSES = ["no", "yes", "perhaps"]


@dataclass(frozen=True)
class Prepared:
    """What the labelling step takes, but for its section and places."""

    dataset: Path
    dataset_digest: str
    teacher: Path
    teacher_digest: str

    @property
    def arguments(self) -> tuple[str, str, str, str]:
        """The first four of the step."""
        return str(self.dataset), self.dataset_digest, str(self.teacher), self.teacher_digest


def prepare(folder: Path, rows: int, file_rows: int, hidden: int = 8) -> Prepared:
    """Write random rows in files of ``file_rows`` rows, and an untrained teacher."""
    digest = write_dataset(folder / "dataset", rows, file_rows)
    teacher_digest = write_teacher(folder / "teacher", digest, hidden)
    return Prepared(folder / "dataset", digest, folder / "teacher", teacher_digest)


def write_dataset(folder: Path, rows: int, file_rows: int) -> str:
    """A data set of random rows, of which every tenth is labelled, and as many are for the test."""
    folder.mkdir(parents=True)
    shards = []
    for number, start in enumerate(range(0, rows, file_rows)):
        count = min(file_rows, rows - start)
        random = np.random.default_rng(number)
        values = {name: random.normal(size=count).astype(np.float32) for name in COLUMNS}
        kind = np.arange(count) % 10
        split = np.where(kind == 0, "labelled", np.where(kind == 1, "test", "unlabelled"))
        label = pa.array(random.integers(len(CLASSES), size=count).tolist()).cast(pa.int64())
        names = pa.DictionaryArray.from_arrays(label.cast(pa.int32()), CLASSES).cast(pa.string())
        path = folder / f"rows-{number:03d}.parquet"
        pq.write_table(pa.table({"label": names, "split": split, **values}), path)
        shards.append(
            Shard(path=path.name, rows=count, bytes=path.stat().st_size, sha256=sha256_file(path))
        )
    splits = {"labelled": 0, "unlabelled": 0, "test": 0}
    for shard in shards:
        tenths = [(shard.rows + 9) // 10, (shard.rows + 8) // 10]
        splits["labelled"] += tenths[0]
        splits["test"] += tenths[1]
        splits["unlabelled"] += shard.rows - sum(tenths)
    manifest = DatasetManifest(
        source="random",
        id=POSITION,
        label="label",
        input=TabularInput(columns=COLUMNS),
        classes=CLASSES,
        column_types={"label": "string", "split": "string", **dict.fromkeys(COLUMNS, "float")},
        shards=shards,
        assignment=None,
        split_column="split",
        split_seed=None,
        rows=splits,  # type: ignore[arg-type]
        digest=f"{rows:064d}",
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return manifest.digest


def write_teacher(folder: Path, dataset_digest: str, hidden: int) -> str:
    """An untrained network with one hidden layer; returns its digest."""
    import torch

    from components.shared.bundle import save_bundle
    from components.shared.networks import Classifier
    from components.shared.preprocessing import Preprocessing

    torch.manual_seed(0)
    spec = MlpSpec(family="mlp", hidden=[hidden], activation="relu")
    preprocessing = Preprocessing(mean=[0.0] * len(COLUMNS), std=[1.0] * len(COLUMNS))
    columns = TabularInput(columns=COLUMNS)
    return save_bundle(
        folder,
        Classifier.build(spec, columns, preprocessing, len(CLASSES)),
        role="teacher",
        model=spec,
        input=columns,
        preprocessing=preprocessing,
        classes=CLASSES,
        seed=0,
        dataset_digest=dataset_digest,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    ).digest


def label(prepared: Prepared, output: Path, storage: str = "", **section: Any) -> None:
    """Run the labelling step in this process, quietly."""
    from components.soft_labels.steps import generate_soft_labels

    dataset, digest, teacher, teacher_digest = prepared.arguments
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            generate_soft_labels(
                Path(dataset), digest, Path(teacher), teacher_digest, section, storage, output
            )
        except SystemExit:
            sys.stderr.write(said.getvalue())
            raise


def rows_of(prepared: Prepared) -> int:
    """Rows of the data set."""
    return sum(shard.rows for shard in Dataset.open(prepared.dataset).manifest.shards)
