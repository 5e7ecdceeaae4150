"""Which rows are fresh, and what their columns mean."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator

from components.shared.recipe.base import Spec


def in_utc(moment: datetime) -> datetime:
    """A moment in UTC, which one without a zone is taken to be in."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class FreshRowsSpec(Spec):
    """Rows of Parquet files, with the columns that the models take."""

    uri: str
    """A Parquet file, or a folder of them; a path or ``s3://``."""
    id: str | None = None
    """Column with a unique id of each row; by default that of the challenger's recipe where the
    data have it, and otherwise rows are named by their position."""
    label: str | None = None
    """Column with the class, null where it is not known yet; by default that of the challenger's
    recipe where the data have it, and otherwise no row has a label."""
    time: str | None = None
    """Column with the time at which a row arrived: timestamps, dates or text; UTC where it has no
    zone."""
    since: Annotated[datetime, AfterValidator(in_utc)] | None = None
    """Earlier rows are left out; by default, those from before the challenger was registered."""
    leave_out_known: bool = True
    """Leave out rows that one of the models was trained or tested on, by their ids."""
