"""The features of some rows as the models will see them, with what is wrong with each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.encoding.categories import category_codes, unknown_categories
from components.shared.encoding.faults import BadValue
from components.shared.images_codec import decode_images
from components.shared.recipe.columns import CategoricalColumn
from components.shared.recipe.inputs import ImageInput, InputSpec, TabularInput, TextInput

Mask = npt.NDArray[np.bool_]
FaultName = Literal["missing", "nan", "infinite", "unknown_category"]


@dataclass
class Features:
    """Feature values of some rows; an image or a text counts as one column with many values."""

    columns: list[str]
    """Names, one for each value of a row; the same name throughout for images and texts."""
    values: npt.NDArray[np.float32]
    """Shape (rows, values); NaN where there is no value."""
    missing: Mask | None
    """Null in the data, shape (rows, values); null where none is."""
    tolerated: npt.NDArray[np.bool_]
    """Columns that may have missing values, shape (values,)."""
    coded: npt.NDArray[np.bool_]
    """Columns of codes or ids, which are no quantities, shape (values,)."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Why the image of a row could not be read."""
    unknown: dict[str, Mask] = field(default_factory=dict)
    """Rows with an unknown category where that is an error, by column."""

    def faults(self) -> Iterator[tuple[FaultName, str, Mask]]:
        """What is wrong, by column, each with the rows concerned; shape (rows,)."""
        for column, rows in self.unknown.items():
            yield "unknown_category", column, rows
        finite = np.isfinite(self.values)
        if finite.all():
            return
        missing = np.zeros(self.values.shape, bool) if self.missing is None else self.missing
        nan = np.isnan(self.values) & ~missing
        nan[list(self.unreadable)] = False
        found: dict[FaultName, Mask] = {
            "missing": missing & ~self.tolerated,
            "nan": nan & ~self.tolerated,
            "infinite": np.isinf(self.values),
        }
        for name, mask in found.items():
            if mask.any():
                for column, rows in self._by_column(mask):
                    yield name, column, rows

    def ranges(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Values for looking at ranges: those that are not finite or no quantities are out of the
        way. Two arrays of the shape of ``values``, for the smallest and for the largest."""
        usable = np.isfinite(self.values) & ~self.coded
        if usable.all():
            return self.values, self.values
        return (
            np.where(usable, self.values, np.float32(np.inf)),
            np.where(usable, self.values, np.float32(-np.inf)),
        )

    def _by_column(self, mask: Mask) -> Iterator[tuple[str, Mask]]:
        if len(set(self.columns)) == 1:
            yield self.columns[0], np.asarray(mask.any(axis=1))
            return
        for index in np.flatnonzero(mask.any(axis=0)):
            yield self.columns[index], mask[:, index]


def read_features(table: pa.Table, spec: InputSpec) -> Features:
    """Read the feature columns of ``table`` without failing on any single row."""
    match spec:
        case TabularInput():
            return _tabular(table, spec)
        case ImageInput():
            column = table.column(spec.column)
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                return _encoded(column, spec)
            return _listed(column, spec.column, int(np.prod(spec.size)), "data.input.size", False)
        case TextInput():
            return _listed(table.column(spec.column), spec.column, spec.length, "tokens", True)
        case _:
            assert_never(spec)


def _tabular(table: pa.Table, spec: TabularInput) -> Features:
    parts = spec.parts
    values = np.empty((table.num_rows, len(parts)), dtype=np.float32)
    categorical = [isinstance(part, CategoricalColumn) for part in parts]
    tolerated = [
        isinstance(part, CategoricalColumn) or part.missing not in ("error", None) for part in parts
    ]
    features = Features(spec.names, values, None, np.asarray(tolerated), np.asarray(categorical))
    for index, part in enumerate(parts):
        column = table.column(part.name)
        if isinstance(part, CategoricalColumn):
            values[:, index] = category_codes(column, part.settled)
            unknown = unknown_categories(values[:, index], part.settled)
            if part.unknown == "error" and unknown.any():
                features.unknown[part.name] = unknown
            continue
        values[:, index] = _floats(column)
        if column.null_count:
            if features.missing is None:
                features.missing = np.zeros(values.shape, bool)
            features.missing[:, index] = column.is_null().to_numpy()
    return features


def _listed(column: pa.ChunkedArray, name: str, size: int, expected: str, coded: bool) -> Features:
    lengths = pc.list_value_length(column).fill_null(-1).to_numpy()
    features = _empty(len(column), name, size, coded)
    right = lengths == size
    flat = pc.list_flatten(column if right.all() else column.filter(pa.array(right)))
    features.values[right] = _floats(flat).reshape(-1, size)
    if flat.null_count or not right.all():
        features.missing = np.zeros(features.values.shape, bool)
        features.missing[right] = flat.is_null().to_numpy().reshape(-1, size)
        features.missing[lengths == -1] = True
    for row in np.flatnonzero(~right & (lengths != -1)).tolist():
        features.unreadable[row] = f"has {lengths[row]} values, {expected} needs {size}"
    return features


def _encoded(column: pa.ChunkedArray, spec: ImageInput) -> Features:
    features = _empty(len(column), spec.column, int(np.prod(spec.size)), False)
    try:
        features.values[:] = decode_images(column, spec.shape).reshape(features.values.shape)
        return features
    except BadValue:
        pass  # Some row is at fault: look at each.
    features.missing = np.zeros(features.values.shape, bool)
    for row in range(len(column)):
        if not column[row].is_valid:
            features.missing[row] = True
            continue
        try:
            features.values[row] = decode_images(column.slice(row, 1), spec.shape).ravel()
        except BadValue as error:
            features.unreadable[row] = error.reason.removeprefix("image ")
    return features


def _empty(rows: int, name: str, size: int, coded: bool) -> Features:
    values = np.full((rows, size), np.nan, dtype=np.float32)
    return Features([name] * size, values, None, np.zeros(size, bool), np.full(size, coded))


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    numbers = column if pa.types.is_float32(column.type) else pc.cast(column, "float", safe=False)
    found: npt.NDArray[np.float32] = numbers.to_numpy(zero_copy_only=False)
    return found
