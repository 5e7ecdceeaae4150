"""Columns of a block as the pandas frame that Great Expectations looks at."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def frame_of(table: pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    """The columns with plain types: 64-bit numbers, text, true/false; lists become null or not.

    Great Expectations compares numbers of other widths one by one, a hundred times as slowly.
    """
    return pd.DataFrame({name: _plain(table.column(name)) for name in dict.fromkeys(columns)})


def _plain(column: pa.ChunkedArray) -> pd.Series:
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif types.is_unsigned_integer(kind) and kind.bit_width == 64:
        column = column.cast(pa.float64())
    elif types.is_integer(kind):
        column = column.cast(pa.int64())
    elif types.is_floating(kind):
        column = column.cast(pa.float64())
    elif types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        column = pc.if_else(column.is_null(), pa.scalar(None, pa.string()), "a value")
    values: pd.Series = column.to_pandas()
    return values
