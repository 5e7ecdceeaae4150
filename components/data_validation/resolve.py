"""From a URI to a dataset manifest: files, columns, classes, splits and a digest."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.columns import TEXT, kind_of, roles_of
from components.data_validation.labels import read_labels
from components.data_validation.settling import settle
from components.data_validation.sources import Source, open_source
from components.data_validation.splitting import LABELLED, TEST, random_split, split_of_column
from components.shared.blocks import names_of_positions
from components.shared.dataset import FORMAT_VERSION, MANIFEST, SPLITS, DatasetManifest, Shard
from components.shared.errors import UserError
from components.shared.files import (
    digest_of,
    new_directory,
    sha256_bytes,
    sha256_file,
    write_atomically,
)
from components.shared.manifest import NO_SPLIT, SplitNumbers
from components.shared.recipe import POSITION, DataSpec
from components.shared.storage.local import reported

ASSIGNMENT = "assignment.parquet"
_ASSIGNMENT_ROWS = 2**18
"""Rows of a row group: readers that begin in the middle of the data skip the ones before."""
_NAMED_AT_ONCE = 2**20


def resolve(spec: DataSpec, folder: Path) -> DatasetManifest:
    """Pin a data set down and write its artifact, ``folder`` with ``manifest.json``.

    Parquet files stay where they are and are named by absolute path or URI; everything else is
    written out as Parquet beside the manifest. The digest is over the SHA-256 and row count of each
    shard in order, the split of each row, the meaning and Arrow type of the columns (but slices),
    the input and the class order. It does not depend on where the files lie. Parquet that is
    written here (built-in sets, images) has the same bytes for the same version of pyarrow.

    Args:
        spec: the recipe's ``data`` section.
        folder: the artifact; an existing one is replaced, and left as it was on an error.

    Raises:
        UserError: the rows cannot be found, read, or divided as the recipe says; the disk is full.
        StorageFailed: S3 is out of reach, or the disk is broken.
    """
    roles = roles_of(spec)
    with new_directory(folder) as temporary:
        source = open_source(spec, roles, temporary)
        labels = read_labels(source, spec.label)
        if spec.split.by == "column":
            column = spec.split.column
            split = split_of_column(source.table.column(column), column, source.where)
            # Labels in the unlabelled split are never read, so they name no class either.
            seen = labels.occurring(np.isin(split, (LABELLED, TEST)))
            classes = spec.classes or _found(seen, source, spec)
        else:
            classes = spec.classes or _found(labels.occurring(), source, spec)
            split = random_split(_ids(source, spec), labels, classes, spec.split)
        spec, source = settle(spec, source, split, temporary)
        manifest = describe(spec, source, classes, split, temporary)
        with reported(temporary / MANIFEST, "writing"):
            write_atomically(temporary / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def _ids(source: Source, spec: DataSpec) -> pa.ChunkedArray:
    if spec.id == POSITION:
        # The names under which Dataset knows these rows.
        rows = source.table.num_rows
        parts = np.array_split(np.arange(rows), rows // _NAMED_AT_ONCE + 1)
        return pa.chunked_array([names_of_positions(part) for part in parts])
    ids = source.table.column(spec.id).cast(pa.string())
    return ids.fill_null("None") if ids.null_count else ids


def _found(names: set[str], source: Source, spec: DataSpec) -> list[str]:
    """The classes that occur: text in alphabetical order, numbers by size."""
    if len(names) < 2:
        there = f"only the class {next(iter(names))!r}" if names else "no label at all"
        raise UserError(
            f"{spec.uri}: the label column {spec.label!r} has {there}; two classes are needed"
        )
    textual = kind_of(source.schema.field(spec.label).type) == TEXT
    return sorted(names) if textual else sorted(names, key=int)


def _split_columns(spec: DataSpec) -> list[str]:
    return [spec.split.column] if spec.split.by == "column" else []


def describe(
    spec: DataSpec, source: Source, classes: list[str], split: SplitNumbers, folder: Path
) -> DatasetManifest:
    """The manifest of rows whose split is known.

    Args:
        spec: what their columns mean.
        source: their files.
        classes: class names in the order of the model's outputs.
        split: of each row.
        folder: where the split is written down, unless it is a column of the data.

    Raises:
        UserError: the disk is full.
        StorageFailed: it is broken.
    """
    drawn = spec.split.by == "random"
    column_types = {field.name: str(field.type) for field in source.schema}
    # Slices change what is reported, not what a model learns from.
    only_slices = set(spec.slices) - {spec.id, spec.label, *_split_columns(spec), *spec.features}
    identity = {
        "format_version": FORMAT_VERSION,
        "shards": [{"sha256": shard.sha256, "rows": shard.rows} for shard in source.shards],
        "split": _split_hash(split),
        "id": spec.id,
        "label": spec.label,
        "input": spec.input.model_dump(mode="json"),
        "classes": classes,
        "column_types": {
            name: kind for name, kind in column_types.items() if name not in only_slices
        },
    }
    return DatasetManifest(
        source=spec.uri,
        id=spec.id,
        label=spec.label,
        input=spec.input,
        classes=classes,
        column_types=column_types,
        slices=spec.slices,
        shards=source.shards,
        assignment=_write_assignment(split, folder) if drawn else None,
        split_column=spec.split.column if spec.split.by == "column" else "split",
        split_seed=spec.split.seed if spec.split.by == "random" else None,
        rows={name: int((split == number).sum()) for number, name in enumerate(SPLITS)},
        digest=digest_of(identity),
    )


def _split_hash(split: SplitNumbers) -> str:
    """Hash of the split itself; that of the Parquet file would change with its writer."""
    return sha256_bytes(np.where(split == NO_SPLIT, len(SPLITS), split).astype(np.uint8).tobytes())


def _write_assignment(split: SplitNumbers, folder: Path) -> Shard:
    path = folder / ASSIGNMENT
    numbers = pa.array(split, mask=split == NO_SPLIT)
    names = pa.DictionaryArray.from_arrays(numbers, pa.array(SPLITS))
    table = pa.table({"split": names})
    with reported(path, "writing"):
        pq.write_table(table, path, compression="zstd", row_group_size=_ASSIGNMENT_ROWS)
    return Shard(
        path=ASSIGNMENT, rows=len(split), bytes=path.stat().st_size, sha256=sha256_file(path)
    )
