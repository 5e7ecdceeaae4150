"""Which of the rows are kept, and why the others are not: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.data_validation.fresh.times import Moments
from components.shared.results.comparison import Role

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Selection:
    """What becomes of each row."""

    kept: Mask
    """Shape (rows,)."""
    earlier: int
    undated: int
    repeated: int
    known: dict[Role, int]
    """Rows that a model was trained or tested on, among those that nothing else leaves out."""
    left_out_known: int | None
    """Null where they are kept."""


def select(
    rows: int,
    ids: pa.ChunkedArray | None,
    moments: Moments | None,
    since: np.datetime64 | None,
    known: Mapping[Role, pa.Array],
    *,
    leave_out_known: bool,
) -> Selection:
    """Leave out rows that are undated, then earlier ones, then repeated, then known ones.

    Args:
        rows: number of rows.
        ids: of each row as text, none of them null; null where they have no ids.
        moments: time of each row; null where they have none.
        since: rows before it are earlier.
        known: ids of the rows that each model was trained or tested on.
        leave_out_known: whether these are left out.
    """
    kept = np.ones(rows, dtype=bool)
    undated = earlier = repeated = 0
    if moments is not None:
        undated = _leave_out(kept, np.isnat(moments))
        if since is not None:
            earlier = _leave_out(kept, moments < since)
    if ids is not None:
        repeated = _leave_out(kept, _repeated(ids, kept))
    found: dict[Role, int] = {}
    of_any = np.zeros(rows, dtype=bool)
    for role, values in known.items():
        theirs = pc.is_in(ids, value_set=values).to_numpy() & kept
        found[role] = int(theirs.sum())
        of_any |= theirs
    left_out = _leave_out(kept, of_any) if leave_out_known else None
    return Selection(kept, earlier, undated, repeated, found, left_out)


def _leave_out(kept: Mask, rows: Mask) -> int:
    """Take rows out of ``kept``, in place; how many of them were in it."""
    count = int((kept & rows).sum())
    kept &= ~rows
    return count


def _repeated(ids: pa.ChunkedArray, kept: Mask) -> Mask:
    """Kept rows whose id an earlier kept row has."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    places = np.flatnonzero(kept)
    _, first = np.unique(codes[places], return_index=True)
    repeated = kept.copy()
    repeated[places[first]] = False
    return repeated
