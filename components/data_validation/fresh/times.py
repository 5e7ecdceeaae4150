"""Times of rows, from timestamps, dates or text."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data_validation.columns import TEXT, kind_of
from components.data_validation.fresh.spec import in_utc
from components.shared.errors import UserError

Moments = npt.NDArray[np.datetime64]


def read_moments(column: pa.ChunkedArray, name: str, place: Callable[[int], str]) -> Moments:
    """Times in UTC, to the microsecond, shape (rows,); NaT where there is none.

    Times without a zone are taken to be in UTC, and a date is its midnight.

    Args:
        column: of timestamps, dates, or text in ISO 8601.
        name: of the column, for errors.
        place: file and position of a row, for errors.

    Raises:
        UserError: a text is not a time.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind_of(column.type) == TEXT:
        texts = column.to_pylist()
        parsed = [_parse(text, name, place, row) for row, text in enumerate(texts)]
        return np.asarray(parsed, dtype="datetime64[us]")
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    moments = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    microseconds = moments.fill_null(np.iinfo(np.int64).min).to_numpy()
    in_numpy: Moments = microseconds.astype("datetime64[us]")  # the least integer is NaT
    return in_numpy


def as_moment(value: datetime) -> np.datetime64:
    """A time with its zone, as :func:`read_moments` gives them."""
    return np.datetime64(value.astimezone(UTC).replace(tzinfo=None), "us")


def as_datetime(value: np.datetime64) -> datetime:
    """The reverse of :func:`as_moment`."""
    moment: datetime = value.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _parse(
    text: str | None, name: str, place: Callable[[int], str], row: int
) -> np.datetime64 | None:
    if text is None:
        return None
    try:
        return as_moment(in_utc(datetime.fromisoformat(text)))
    except ValueError as error:
        raise UserError(
            f"{place(row)}: {name} {text!r} is not a time such as 2026-11-30T12:00:00Z"
        ) from error
