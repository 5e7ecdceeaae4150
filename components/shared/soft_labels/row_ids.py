"""Ids of rows as Arrow text: quick to store, hash and look up, with no Python object for each."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.shared.errors import UserError
from components.shared.files import sha256_bytes

Ids: TypeAlias = Sequence[str] | pa.StringArray | pa.ChunkedArray


def as_ids(ids: Ids) -> pa.StringArray:
    """The ids as one Arrow array."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.cast(pa.string()).combine_chunks()
    return ids if isinstance(ids, pa.StringArray) else pa.array(ids, pa.string())


def pack(ids: pa.StringArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Where each id ends in the bytes of all of them, shape (rows,), and those bytes (UTF-8)."""
    if not len(ids):
        return np.zeros(0, np.int32), np.zeros(0, np.uint8)
    _, offsets, data = ids.buffers()
    bounds = np.frombuffer(offsets, np.int32)[ids.offset : ids.offset + len(ids) + 1]
    whole = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return bounds[1:] - bounds[0], whole[bounds[0] : bounds[-1]]


def unpack(ends: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> pa.StringArray:
    """The ids of which :func:`pack` gave ``ends`` and ``data``.

    Raises:
        ValueError: no ids give these.
    """
    bounds = np.concatenate([[0], ends]).astype(np.int32)
    if bounds[-1] != len(data) or (np.diff(bounds) < 0).any():
        raise ValueError("the bounds of its ids are not those of its text")
    ids = pa.StringArray.from_buffers(len(ends), pa.py_buffer(bounds), pa.py_buffer(data))
    ids.validate(full=True)
    return ids


def hash_ids(ids: pa.StringArray) -> str:
    """Hex SHA-256 of ids and their order."""
    ends, data = pack(ids)
    return sha256_bytes(ends.tobytes() + data.tobytes())


def check_distinct(stored: pa.StringArray, where: str) -> None:
    """Check that each id is one row's.

    Args:
        stored: ids of all rows.
        where: what has them, in an error.

    Raises:
        UserError: two rows have the same one; the message names it.
    """
    if pc.count_distinct(stored, mode="all").as_py() == len(stored):
        return
    counts = pc.value_counts(stored)
    twice = counts.field("values")[int(np.argmax(counts.field("counts").to_numpy()))].as_py()
    raise UserError(
        f"{where} has several rows with the id {twice!r}, so that their labels cannot be told "
        "apart; give each row an id of its own, or set validation.policies.duplicate_id (or "
        "missing_id) to quarantine"
    )


def find_rows(stored: pa.StringArray, ids: pa.StringArray, where: str) -> npt.NDArray[np.int64]:
    """Position of each of ``ids`` among the stored ones, shape (len(ids),).

    Args:
        stored: each once.
        ids: what to look for.
        where: what has the stored ones, in an error.

    Raises:
        UserError: one of them is not there; the message names it.
    """
    if ids.equals(stored):
        return np.arange(len(stored))
    found = pc.index_in(ids, value_set=stored)
    if found.null_count:
        missing = ids.filter(found.is_null())
        raise UserError(
            f"{where} has no label for row {missing[0].as_py()!r} ({len(missing)} of {len(ids)} "
            "rows); label again"
        )
    rows: npt.NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return rows
