"""The features of every row as the models will see them, with what is wrong with each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.errors import UserError
from components.shared.images_codec import decode_images
from components.shared.recipe import ImageInput, TabularInput

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Features:
    """Feature values of all rows; an image counts as one column with many values."""

    columns: list[str]
    """Names, one for each value of a row; the same name throughout for an image."""
    values: npt.NDArray[np.float32]
    """Shape (rows, values); NaN where there is no value."""
    missing: Mask
    """Null in the data, shape (rows, values)."""
    unreadable: list[str | None]
    """Why an image could not be read, for each row."""

    @property
    def readable(self) -> Mask:
        """Rows that have values, shape (rows,)."""
        return np.asarray([reason is None for reason in self.unreadable], dtype=bool)

    @property
    def nan(self) -> Mask:
        """NaN in the data, shape (rows, values)."""
        return np.isnan(self.values) & ~self.missing & self.readable[:, None]

    @property
    def infinite(self) -> Mask:
        """Infinite, or too large for 32-bit floats, shape (rows, values)."""
        return np.isinf(self.values)


def read_features(table: pa.Table, spec: TabularInput | ImageInput) -> Features:
    """Read the feature columns of ``table`` without failing on any single row."""
    if spec.kind == "tabular":
        return _tabular(table, spec)
    column = table.column(spec.column)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _encoded(column, spec)
    return _listed(column, spec)


def _tabular(table: pa.Table, spec: TabularInput) -> Features:
    values = np.empty((table.num_rows, len(spec.columns)), dtype=np.float32)
    missing = np.empty(values.shape, dtype=bool)
    for index, name in enumerate(spec.columns):
        column = table.column(name)
        missing[:, index] = column.is_null().to_numpy()
        values[:, index] = _floats(column)
    return Features(spec.columns, values, missing, [None] * table.num_rows)


def _listed(column: pa.ChunkedArray, spec: ImageInput) -> Features:
    size = int(np.prod(spec.size))
    lengths = pc.list_value_length(column).to_pylist()
    features = _empty(len(column), spec)
    right = np.asarray([length == size for length in lengths], dtype=bool)
    flat = pc.list_flatten(column.filter(pa.array(right)))
    features.values[right] = _floats(flat).reshape(-1, size)
    features.missing[right] = flat.is_null().to_numpy().reshape(-1, size)
    for row, length in enumerate(lengths):
        if length is None:
            features.missing[row] = True
        elif length != size:
            features.unreadable[row] = f"has {length} values, data.input.size needs {size}"
    return features


def _encoded(column: pa.ChunkedArray, spec: ImageInput) -> Features:
    features = _empty(len(column), spec)
    try:
        features.values[:] = decode_images(column, spec.shape).reshape(features.values.shape)
        return features
    except UserError:
        pass  # Some row is at fault: look at each.
    for row, value in enumerate(column.to_pylist()):
        if value is None:
            features.missing[row] = True
            continue
        single = pa.chunked_array([pa.array([value], column.type)])
        try:
            features.values[row] = decode_images(single, spec.shape).ravel()
        except UserError as error:
            # Without the row, which is always 0 here, and the decoder's own words.
            features.unreadable[row] = str(error).partition(": ")[2].partition(" (")[0]
    return features


def _empty(rows: int, spec: ImageInput) -> Features:
    size = int(np.prod(spec.size))
    values = np.full((rows, size), np.nan, dtype=np.float32)
    return Features([spec.column] * size, values, np.zeros(values.shape, bool), [None] * rows)


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    numbers = pc.cast(column, pa.float32(), safe=False)
    result: npt.NDArray[np.float32] = numbers.to_numpy(zero_copy_only=False).astype(np.float32)
    return result
