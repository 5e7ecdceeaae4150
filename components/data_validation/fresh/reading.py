"""The rows of a source before any is left out: their files, ids, times and labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.data_validation.columns import Role, roles_of
from components.data_validation.fetching import column_names
from components.data_validation.fresh.spec import FreshRowsSpec
from components.data_validation.fresh.times import Moments, read_moments
from components.data_validation.locations import data_files
from components.data_validation.sources import Source, open_files
from components.shared.dataset import NO_LABEL
from components.shared.errors import UserError
from components.shared.recipe import POSITION, DataSpec, parse_section
from components.shared.recipe.inputs import InputSpec, TextInput
from components.shared.recipe.tokenizers import FileTokenizer
from components.shared.registered import RegisteredModel


@dataclass(frozen=True)
class Arrived:
    """All rows of the source."""

    data: DataSpec
    """What their columns mean."""
    source: Source
    ids: pa.ChunkedArray | None
    """As text, none of them null; null where rows are named by their position."""
    moments: Moments | None
    """When each arrived; null without a time column."""
    labelled: npt.NDArray[np.bool_]
    """Whether it has a label, shape (rows,)."""


def read_arrived(spec: FreshRowsSpec, challenger: RegisteredModel, folder: Path) -> Arrived:
    """Read the columns that say which rows are fresh; features are left to be read later.

    Args:
        spec: where the rows are, and how their columns are called.
        challenger: the model whose input the rows must have.
        folder: of the artifact that is being written.

    Raises:
        UserError: there are no Parquet files, a column is missing or of a wrong type, an id is
            missing, or a text is not a time.
    """
    files = data_files(spec.uri, "fresh rows")
    if not files:
        raise UserError(f"fresh rows: the folder {spec.uri} holds no Parquet file (*.parquet)")
    data = _columns(spec, challenger, column_names(files[0]))
    source = open_files(files, _roles(data, spec.time), spec.uri, folder)
    return Arrived(
        data=data,
        source=source,
        ids=None if data.id == POSITION else _ids(source, data.id),
        moments=None if spec.time is None else _moments(source, spec.time),
        labelled=_labelled(source, data.label),
    )


def _columns(spec: FreshRowsSpec, challenger: RegisteredModel, names: list[str]) -> DataSpec:
    """What the columns mean: as asked for, or as in the recipe where the data have them."""
    recipe = (challenger.record.recipe or {}).get("data", {})
    usual = {role: name for role in ("id", "label") if (name := recipe.get(role)) in names}
    section = {
        "uri": spec.uri,
        "id": spec.id or usual.get("id", POSITION),
        "label": spec.label or usual.get("label", NO_LABEL),
        "classes": challenger.deployable.classes,
        "input": _input(challenger).model_dump(),
    }
    return parse_section(DataSpec, section, "fresh rows")


def _input(challenger: RegisteredModel) -> InputSpec:
    """What the model takes; its tokenizer is the one that is registered with it."""
    taken = challenger.deployable.input
    if not isinstance(taken, TextInput) or not isinstance(taken.tokenizer, FileTokenizer):
        return taken
    kept = taken.tokenizer.model_copy(update={"uri": str(challenger.folder / taken.tokenizer.uri)})
    return taken.model_copy(update={"tokenizer": kept})


def _roles(data: DataSpec, time: str | None) -> dict[str, Role]:
    roles = roles_of(data)
    roles.pop(NO_LABEL, None)
    if time is not None:
        if time in roles:
            raise UserError(f"the time column {time!r} is also used as {roles[time]}")
        roles[time] = "time"
    return roles


def _ids(source: Source, name: str) -> pa.ChunkedArray:
    ids = source.table.column(name).cast(pa.string())
    if ids.null_count:
        row = int(ids.is_null().to_numpy().argmax())
        raise UserError(f"{source.where(row)}: {name}, the column of ids, has no value")
    return ids


def _moments(source: Source, name: str) -> Moments:
    return read_moments(source.table.column(name), name, source.where)


def _labelled(source: Source, name: str) -> npt.NDArray[np.bool_]:
    if name == NO_LABEL:
        return np.zeros(source.table.num_rows, dtype=bool)
    column = source.table.column(name)
    labelled: npt.NDArray[np.bool_] = ~pc.is_null(column, nan_is_null=True).to_numpy()
    return labelled
