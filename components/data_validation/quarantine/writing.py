"""The file with the rows that are taken out, and the data set without them."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.data_validation.quarantine.taken import Taken
from components.shared.blocks import Block, read_blocks
from components.shared.dataset import (
    MANIFEST,
    NO_LABEL,
    SPLITS,
    Dataset,
    DatasetManifest,
    Shard,
    SplitName,
)
from components.shared.files import digest_of, new_directory, sha256_file, write_atomically
from components.shared.recipe import POSITION
from components.shared.recipe.inputs import files_of
from components.shared.storage.local import reported

ASSIGNMENT = "checked_assignment.parquet"
_ROWS = 2**14


def write_quarantine(manifest: DatasetManifest, folder: Path, taken: Taken, path: Path) -> None:
    """Write the rows that are taken out: all used columns, ``split``, ``row`` and ``reason``.

    Args:
        manifest: of the data set.
        folder: where it lies.
        taken: the rows, one at least.
        path: Parquet file to write.

    Raises:
        UserError: the disk is full; a shard is gone, damaged, or changed.
        StorageFailed: the disk is broken, or the data are out of reach.
    """
    unreal = {POSITION, NO_LABEL, manifest.split_column}
    names = [name for name in manifest.column_types if name not in unreal]
    schema = _schema(manifest, folder, names)
    with (
        reported(path, "writing"),
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        for block in read_blocks(manifest, folder, names, _ROWS):
            out = taken.among(block.positions())
            if out.any():
                positions = block.positions()[out]
                rows = block.table.filter(pa.array(out))
                for name, values in (
                    ("split", block.split.filter(pa.array(out))),
                    ("row", pa.array(positions)),
                    ("reason", pa.array(taken.reasons(positions), pa.string())),
                ):
                    rows = rows.append_column(_free_name(name, names), values)
                writer.write_table(rows)


def _schema(manifest: DatasetManifest, folder: Path, names: list[str]) -> pa.Schema:
    first = next(read_blocks(manifest, folder, names, 1)).table.schema
    fields = [
        pa.field(_free_name("split", names), pa.string()),
        pa.field(_free_name("row", names), pa.int64()),
        pa.field(_free_name("reason", names), pa.string()),
    ]
    return pa.schema([*first, *fields])


def _free_name(name: str, names: list[str]) -> str:
    while name in names:
        name = f"quarantine_{name}"
    return name


def write_checked(
    dataset: Path, taken: Taken, target: Path, sensitive: list[str]
) -> DatasetManifest:
    """Write the data set without the rows that are taken out; they are in no split of it.

    Without any, and without sensitive columns, it has the manifest of the one that was looked at,
    byte for byte.

    Args:
        dataset: folder of the data set that was looked at.
        taken: the rows.
        target: folder to write; big data stay where they are.
        sensitive: columns of which no later step may put a value into a message.

    Raises:
        UserError: the disk is full; a shard is gone, damaged, or changed.
        StorageFailed: the disk is broken, or the data are out of reach.
    """
    manifest = Dataset.open(dataset).manifest.model_copy(update={"sensitive": sensitive})
    with reported(target, "writing"), new_directory(target) as folder:
        for path in [*(shard.path for shard in manifest.shards), *files_of(manifest.input)]:
            _bring(dataset, path, folder)
        if len(taken.positions):
            manifest = _without(manifest, dataset, taken, folder)
        elif manifest.assignment is not None:
            _bring(dataset, manifest.assignment.path, folder)
        write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def _bring(dataset: Path, path: str, folder: Path) -> None:
    """Files beside the manifest come along; where it can be, without a copy."""
    if "://" in path or Path(path).is_absolute():
        return
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(dataset / path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(dataset / path, target)


def _without(
    manifest: DatasetManifest, dataset: Path, taken: Taken, folder: Path
) -> DatasetManifest:
    path, rows = folder / ASSIGNMENT, dict.fromkeys(SPLITS, 0)
    digest, total = hashlib.sha256(), 0
    schema = pa.schema([("split", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for split in _splits(manifest, dataset, taken):
            writer.write_table(pa.table({"split": split}, schema))
            codes = pc.index_in(split, value_set=pa.array(SPLITS, pa.string()))
            codes = codes.fill_null(len(SPLITS)).to_numpy().astype(np.uint8)
            digest.update(codes.tobytes())
            total += len(codes)
            for number, name in enumerate(SPLITS):
                rows[name] += int((codes == number).sum())
    assignment = Shard(
        path=ASSIGNMENT, rows=total, bytes=path.stat().st_size, sha256=sha256_file(path)
    )
    counted: dict[SplitName, int] = dict(rows)
    return manifest.model_copy(
        update={
            "assignment": assignment,
            "rows": counted,
            "digest": digest_of({"dataset": manifest.digest, "split": digest.hexdigest()}),
        }
    )


def _splits(manifest: DatasetManifest, dataset: Path, taken: Taken) -> Iterator[pa.Array]:
    """The split of all rows, null for those that are taken out."""
    column = [] if manifest.assignment is None else _narrow(manifest)
    for block in read_blocks(manifest, dataset, column, _ROWS):
        yield _masked(block, taken)


def _masked(block: Block, taken: Taken) -> pa.Array:
    split = block.split.combine_chunks()
    out = pa.array(taken.among(block.positions()))
    return pc.if_else(out, pa.scalar(None, pa.string()), split)


def _narrow(manifest: DatasetManifest) -> list[str]:
    """A column to read along where the split is in a file of its own: a small one."""
    return manifest.meaningful[:1]
