"""The data frames that Great Expectations looks at, derived from a data set.

Checks over hundreds of features are one column each here (``nan_in`` names the features that are
NaN in a row), so that the number of expectations does not grow with the data.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.data_validation.columns import Role, kind_of
from components.data_validation.features import Features, Mask, read_features
from components.shared.dataset import Dataset, DatasetManifest, label_name

_SHOWN = 3


@dataclass(frozen=True)
class Derived:
    """What the checks need to know of a data set."""

    manifest: DatasetManifest
    schema: pd.DataFrame
    """One row for each used column: ``column``, ``role``, ``type`` (Arrow) and ``kind``."""
    rows: pd.DataFrame
    """One row for each row that is in a split."""
    affected: dict[str, dict[str, int]]
    """For ``missing_in``, ``nan_in`` and ``infinite_in``: rows by feature column."""
    lowest: dict[str, float]
    """Smallest finite value of each feature column."""
    highest: dict[str, float]
    """Largest finite value of each feature column."""


def derive(dataset: Dataset) -> Derived:
    """Read a data set and derive the frames.

    Raises:
        UserError: a shard is gone or has changed.
    """
    manifest = dataset.manifest
    table = dataset.table()
    schema = _schema(table.schema, manifest)
    table = table.filter(pa.array(table.column("split").is_valid()))
    features = read_features(table, manifest.input)
    ids = [None if value is None else str(value) for value in table[manifest.id].to_pylist()]
    labels = [label_name(value) for value in table[manifest.label].to_pylist()]
    rows = pd.DataFrame(
        {
            "id": _objects(ids),
            "split": _objects(table["split"].to_pylist()),
            "label": _objects(labels),
        }
    )
    _add_classes(rows, manifest.classes)
    faults = {
        "missing_in": features.missing,
        "nan_in": features.nan,
        "infinite_in": features.infinite,
    }
    for name, mask in faults.items():
        rows[name] = _objects(_named(mask, features.columns))
    if manifest.input.kind == "image":
        rows["unreadable"] = _objects(features.unreadable)
    lowest, highest = _add_range(rows, features)
    _add_overlap(rows, features)
    affected = {name: _by_column(mask, features.columns) for name, mask in faults.items()}
    return Derived(manifest, schema, rows, affected, lowest, highest)


def _schema(schema: pa.Schema, manifest: DatasetManifest) -> pd.DataFrame:
    special: dict[str, Role] = {manifest.id: "id", manifest.label: "label", "split": "split"}
    feature: Role = "feature" if manifest.input.kind == "tabular" else "image"
    return pd.DataFrame(
        {
            "column": _objects(schema.names),
            "role": _objects(special.get(name, feature) for name in schema.names),
            "type": _objects(str(kind) for kind in schema.types),
            "kind": _objects(kind_of(kind) for kind in schema.types),
        }
    )


def _add_classes(rows: pd.DataFrame, classes: list[str]) -> None:
    """``class_rows``: rows of the same class in the same split; ``class_share``: their share."""
    valid = set(classes)
    pairs = list(zip(rows["split"], rows["label"], strict=True))
    counts = Counter(pairs)
    totals = Counter(rows["split"])
    rows["class_rows"] = [float(counts[pair]) if pair[1] in valid else np.nan for pair in pairs]
    rows["class_share"] = [
        counts[split, label] / totals[split] if label in valid else np.nan for split, label in pairs
    ]


def _add_range(rows: pd.DataFrame, features: Features) -> tuple[dict[str, float], dict[str, float]]:
    """``smallest`` and ``largest``: the extremes of a row's finite values."""
    finite = np.isfinite(features.values)
    low = np.where(finite, features.values, np.inf)
    high = np.where(finite, features.values, -np.inf)
    for name, extremes in (("smallest", low.min(axis=1)), ("largest", high.max(axis=1))):
        rows[name] = np.where(np.isfinite(extremes), extremes, np.nan).astype(np.float64)
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    if len(rows):
        for index, name in enumerate(features.columns):
            lowest[name] = min(float(low[:, index].min()), lowest.get(name, np.inf))
            highest[name] = max(float(high[:, index].max()), highest.get(name, -np.inf))
    return lowest, highest


def _add_overlap(rows: pd.DataFrame, features: Features) -> None:
    """``same_id_in``: the training split that has a test row's id too; ``same_features_as``: the id
    of a training row with equal features."""
    # Adding zero makes -0.0 equal to 0.0 byte for byte.
    contents = [
        hashlib.blake2b(values, digest_size=16).digest() if readable else None
        for values, readable in zip(features.values + 0.0, features.readable, strict=True)
    ]
    split_of_id: dict[object, str] = {}
    id_of_content: dict[bytes, object] = {}
    test = rows["split"] == "test"
    for row_id, split, content, is_test in zip(
        rows["id"], rows["split"], contents, test, strict=True
    ):
        if not is_test:
            split_of_id.setdefault(row_id, split)
            if content is not None:
                id_of_content.setdefault(content, row_id)
    rows["same_id_in"] = _objects(
        split_of_id.get(row_id) if is_test and row_id is not None else None
        for row_id, is_test in zip(rows["id"], test, strict=True)
    )
    rows["same_features_as"] = _objects(
        id_of_content.get(content) if is_test and content is not None else None
        for content, is_test in zip(contents, test, strict=True)
    )


def _named(mask: Mask, columns: list[str]) -> list[str | None]:
    """For each row the names of the columns where ``mask`` holds, ``None`` if nowhere."""
    names: list[str | None] = [None] * len(mask)
    for row in np.flatnonzero(mask.any(axis=1)):
        found = list(dict.fromkeys(columns[index] for index in np.flatnonzero(mask[row])))
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        names[row] = ", ".join(found[:_SHOWN]) + more
    return names


def _by_column(mask: Mask, columns: list[str]) -> dict[str, int]:
    """Rows where ``mask`` holds, by column; columns without one are left out."""
    if len(set(columns)) == 1:
        counts = {columns[0]: int(mask.any(axis=1).sum())}
    else:
        counts = dict(zip(columns, mask.sum(axis=0).tolist(), strict=True))
    return {name: count for name, count in counts.items() if count}


def _objects(values: Iterable[object]) -> pd.Series:
    """A column that keeps ``None``, which pandas would turn into NaN."""
    return pd.Series(list(values), dtype=object)
