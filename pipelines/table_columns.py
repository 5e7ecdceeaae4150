"""What the columns of a table seem to be: id, label, split, features or images."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_validation.columns import ALLOWED, NUMBER, TEXT, WHOLE, kind_of
from components.shared.dataset import SPLITS, label_name
from components.shared.errors import UserError
from components.shared.recipe import ImageInput, TabularInput

_LABEL_NAMES = ("label", "target", "class", "y", "category", "species", "diagnosis", "outcome")
_ID_NAMES = ("id", "row_id", "uid", "uuid", "key", "index", "__index_level_0__")
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
        named = [name for name in unique if name.lower() in _ID_NAMES]
        ending = [name for name in unique if _named_like_id(name)]
        text = [name for name in unique if self._kinds[name] == TEXT]
        return next(iter((*named, *ending, *text)), None)

    def split_column(self) -> str | None:
        """A column called ``split`` that holds nothing but the names of splits."""
        if self._kinds.get("split") != TEXT:
            return None
        values = set(pc.unique(self._table.column("split")).to_pylist())
        return "split" if {None} != values <= {*SPLITS, None} else None

    def label_column(self, taken: set[str | None]) -> str:
        """The class column: by a usual name, or else the last one with few distinct values."""
        free = [name for name in self._kinds if name not in taken and self._may_be_label(name)]
        for usual in _LABEL_NAMES:
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

    def features(self, taken: set[str | None]) -> tuple[TabularInput | ImageInput, list[str]]:
        """The input, and notes about columns that are left out."""
        free = [name for name in self._kinds if name not in taken]
        images = [name for name in free if self._kinds[name] in ALLOWED["image"]]
        if images:
            return self._image(images[0]), []
        left_out = {
            "left out, not numeric": [
                name for name in free if self._kinds[name] not in ALLOWED["feature"]
            ],
            "left out, since they seem to be ids": [
                name for name in free if self._kinds[name] == WHOLE and _named_like_id(name)
            ],
            "left out, since the name is kept for labelled, unlabelled and test": [
                name for name in free if name == "split" and self._kinds[name] != TEXT
            ],
        }
        excluded = {name for names in left_out.values() for name in names}
        numeric = [name for name in free if name not in excluded]
        if not numeric:
            raise UserError("no column holds numbers or images; there is nothing to learn from")
        notes = [f"{why}: {', '.join(names)}" for why, names in left_out.items() if names]
        return TabularInput(columns=numeric), notes

    def _image(self, name: str) -> ImageInput:
        values = self._table.column(name).drop_null()
        if len(values) == 0:
            raise UserError(f"column {name!r} has no image in any row")
        first = values[0].as_py()
        if isinstance(first, bytes):
            size = _encoded_size(first, name)
            return ImageInput(kind="image", column=name, size=size)
        for channels in (1, 3):
            side = round((len(first) / channels) ** 0.5)
            if side and side * side * channels == len(first):
                return ImageInput(kind="image", column=name, size=[channels, side, side])
        raise UserError(
            f"column {name!r} has {len(first)} numbers a row, which is not a square image; write "
            "the recipe by hand, with data.input.size"
        )

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


def _encoded_size(data: bytes, column: str) -> list[int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return [1 if image.mode in {"1", "L"} else 3, image.height, image.width]
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"column {column!r} holds bytes that are not an image") from error


def _named_like_id(name: str) -> bool:
    return name.lower() in _ID_NAMES or name.lower().endswith("_id")
