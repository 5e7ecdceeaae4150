"""From a URI to a dataset manifest: files, columns, classes, splits and a digest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.columns import TEXT, kind_of, roles_of
from components.data_validation.sources import Source, open_source
from components.data_validation.splitting import check_split_column, random_split
from components.shared.dataset import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    DatasetManifest,
    Shard,
    label_name,
)
from components.shared.errors import UserError
from components.shared.files import (
    digest_of,
    new_directory,
    sha256_bytes,
    sha256_file,
    write_atomically,
)
from components.shared.recipe import POSITION, DataSpec

ASSIGNMENT = "assignment.parquet"
Split = Sequence[str | None]


def resolve(spec: DataSpec, folder: Path) -> DatasetManifest:
    """Pin a data set down and write its artifact, ``folder`` with ``manifest.json``.

    Parquet files stay where they are and are named by absolute path; everything else is written
    out as Parquet beside the manifest. The digest is over the SHA-256 and row count of each shard
    in order, the split of each row, the meaning and Arrow type of the columns, the slices, the
    input and the class order. It does not depend on where the files lie. Parquet that is written
    here (built-in sets, images) has the same bytes for the same version of pyarrow.

    Args:
        spec: the recipe's ``data`` section.
        folder: the artifact; an existing one is replaced, and left as it was on an error.

    Raises:
        UserError: the rows cannot be found, read, or divided as the recipe says.
    """
    roles = roles_of(spec)
    with new_directory(folder) as temporary:
        source = open_source(spec, roles, temporary)
        labels = _labels(source, spec)
        split: Split
        if spec.split.by == "column":
            split = source.read([spec.split.column]).column(spec.split.column).to_pylist()
            check_split_column(split, spec.split.column)
            # Labels in the unlabelled split are never read, so they name no class either.
            seen = [
                label
                for label, name in zip(labels, split, strict=True)
                if name in ("labelled", "test")
            ]
            classes = spec.classes or _found(seen, source, spec)
        else:
            classes = spec.classes or _found(labels, source, spec)
            split = random_split(_ids(source, spec), labels, classes, spec.split)
        manifest = _manifest(spec, source, classes, split, temporary)
        write_atomically(temporary / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def _ids(source: Source, spec: DataSpec) -> list[object]:
    if spec.id == POSITION:
        # The names under which Dataset knows these rows.
        return [f"row-{row}" for row in range(sum(shard.rows for shard in source.shards))]
    ids: list[object] = source.read([spec.id]).column(spec.id).to_pylist()
    return ids


def _labels(source: Source, spec: DataSpec) -> list[str | None]:
    values = source.read([spec.label]).column(spec.label).to_pylist()
    for row, value in enumerate(values):
        if isinstance(value, float) and not (np.isnan(value) or value.is_integer()):
            raise UserError(
                f"{spec.uri}: the label column {spec.label!r} has the value {value} in row {row}, "
                "but classes are names or whole numbers"
            )
    return [label_name(value) for value in values]


def _found(labels: Split, source: Source, spec: DataSpec) -> list[str]:
    """The classes that occur: text in alphabetical order, numbers by size."""
    names = {label for label in labels if label is not None}
    if len(names) < 2:
        there = f"only the class {next(iter(names))!r}" if names else "no label at all"
        raise UserError(
            f"{spec.uri}: the label column {spec.label!r} has {there}; two classes are needed"
        )
    textual = kind_of(source.schema.field(spec.label).type) == TEXT
    return sorted(names) if textual else sorted(names, key=int)


def _split_columns(spec: DataSpec) -> list[str]:
    return [spec.split.column] if spec.split.by == "column" else []


def _manifest(
    spec: DataSpec, source: Source, classes: list[str], split: Split, folder: Path
) -> DatasetManifest:
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
        rows={name: split.count(name) for name in SPLITS},
        digest=digest_of(identity),
    )


def _split_hash(split: Split) -> str:
    """Hash of the split itself; that of the Parquet file would change with its writer."""
    codes: dict[str | None, int] = {name: code for code, name in enumerate(SPLITS)}
    codes[None] = len(SPLITS)
    return sha256_bytes(bytes(codes[name] for name in split))


def _write_assignment(split: Split, folder: Path) -> Shard:
    path = folder / ASSIGNMENT
    pq.write_table(pa.table({"split": pa.array(split, pa.string())}), path, compression="zstd")
    return Shard(
        path=ASSIGNMENT, rows=len(split), bytes=path.stat().st_size, sha256=sha256_file(path)
    )
