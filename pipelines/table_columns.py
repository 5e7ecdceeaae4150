"""What the columns of a table seem to be: id, label, split, features or images."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_validation.columns import ALLOWED, NUMBER, TEXT, kind_of
from components.shared.dataset import SPLITS, label_name
from components.shared.errors import UserError
from components.shared.recipe import ImageInput, TabularInput
from components.shared.recipe.inputs import TextInput
from pipelines.table_inputs import ID_NAMES, LABEL_NAMES, guess_input, is_prose, named_like_id

_MAX_CLASSES = 200


class TableColumns:
    """Guesses about the columns of an Arrow table."""

    def __init__(self, table: pa.Table) -> None:
        self._table = _without_dictionaries(table)
        self._rows: int = table.num_rows
        self._kinds: dict[str, str] = {
            name: kind_of(table.schema.field(name).type) for name in table.column_names
        }

    def check_label(self, name: str) -> None:
        """Refuse a column that cannot be the label.

        Raises:
            UserError: saying why.
        """
        self._check_given("--label", name)
        if not self._holds_classes(name):
            raise UserError(
                f"--label {name}: is of type {self._table.schema.field(name).type}, but a class is "
                "text or a whole number"
            )

    def check_id(self, name: str) -> None:
        """Refuse a column that cannot be the id.

        Raises:
            UserError: saying why.
        """
        self._check_given("--id", name)
        if not self._may_be_id(name):
            raise UserError(
                f"--id {name}: is not text or a whole number with a different value in each row; "
                "without --id, rows are named by their position"
            )

    def _check_given(self, option: str, name: str) -> None:
        if name not in self._kinds:
            names = ", ".join(self._kinds)
            raise UserError(f"{option} {name}: there is no such column; there are {names}")
        if name == "split":
            raise UserError(f"{option} split: the name is kept for the split; rename the column")

    def id_column(self, taken: set[str | None]) -> str | None:
        """A column with a unique value in every row, by a usual name if possible."""
        unique = [name for name in self._kinds if name not in taken and self._may_be_id(name)]
        named = [name for name in unique if name.lower() in ID_NAMES]
        ending = [name for name in unique if named_like_id(name)]
        text = [name for name in unique if self._is_name(name)]
        return next(iter((*named, *ending, *text)), None)

    def _is_name(self, column: str) -> bool:
        return self._kinds[column] == TEXT and not is_prose(self._table.column(column))

    def split_column(self) -> str | None:
        """A column called ``split`` that holds nothing but the names of splits."""
        if self._kinds.get("split") != TEXT:
            return None
        values = set(pc.unique(self._table.column("split")).to_pylist())
        return "split" if {None} != values <= {*SPLITS, None} else None

    def label_column(self, taken: set[str | None]) -> str:
        """The class column: by a usual name, or else the last one with few distinct values."""
        free = [name for name in self._kinds if name not in taken and self._may_be_label(name)]
        for usual in LABEL_NAMES:
            for name in free:
                if name.lower() == usual:
                    return name
        if not free:
            raise UserError(
                f"no column looks like a class (text or whole numbers, 2 to {_MAX_CLASSES} values);"
                " name it with --label"
            )
        certain = [name for name in free if self._kinds[name] != NUMBER]
        return (certain or free)[-1]

    def classes(self, label: str, split: str | None) -> list[str]:
        """Class names, in the order of numbers or of the alphabet.

        Labels in the unlabelled split are never read, so they name no class.
        """
        table = self._table
        if split is not None:
            table = table.filter(pc.field(split).isin(["labelled", "test"]))
        values = pc.unique(table.column(label)).to_pylist()
        names = sorted({name for name in map(label_name, values) if name is not None})
        if len(names) < 2:
            raise UserError(f"column {label!r} has {len(names)} classes; at least 2 are needed")
        if len(names) > _MAX_CLASSES:
            raise UserError(
                f"column {label!r} has {len(names)} different values; it does not look like a "
                "class: name another with --label"
            )
        return names if self._kinds[label] == TEXT else sorted(names, key=int)

    def features(
        self, taken: set[str | None]
    ) -> tuple[TabularInput | ImageInput | TextInput, list[str]]:
        """The input, and notes about columns that are left out."""
        free = {name: kind for name, kind in self._kinds.items() if name not in taken}
        return guess_input(self._table.select(list(free)), free)

    def _may_be_id(self, name: str) -> bool:
        if self._kinds[name] not in ALLOWED["id"]:
            return False
        missing: int = self._table.column(name).null_count
        return missing == 0 and self._distinct(name) == self._rows

    def _may_be_label(self, name: str) -> bool:
        if name == "split" or not self._holds_classes(name):
            return False
        return 2 <= self._distinct(name) <= min(_MAX_CLASSES, max(2, self._rows // 5))

    def _holds_classes(self, name: str) -> bool:
        """Names or whole numbers, also those that became floats where some are missing."""
        if self._kinds[name] != NUMBER:
            return self._kinds[name] in ALLOWED["label"]
        values = self._table.column(name).drop_null().to_numpy()
        known = values[~np.isnan(values)]
        return bool(np.all(np.isfinite(known)) and np.all(known == np.floor(known)))

    def _distinct(self, name: str) -> int:
        values = pc.unique(self._table.column(name).drop_null())
        if self._kinds[name] == NUMBER:
            return int(np.count_nonzero(~np.isnan(values.to_numpy())))
        return len(values)


def _without_dictionaries(table: pa.Table) -> pa.Table:
    """Dictionaries (pandas' categories) as plain values, which all of Arrow's functions take."""
    for position, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            plain = table.column(position).cast(column.type.value_type)
            table = table.set_column(position, column.name, plain)
    return table
