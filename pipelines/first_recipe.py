"""A first recipe for a data set: what its columns seem to be, and sensible defaults around them."""

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from components.data_validation.columns import ALLOWED, BOOLEAN, TEXT, WHOLE, kind_of
from components.shared.dataset import SPLITS, label_name
from components.shared.errors import UserError
from components.shared.recipe import POSITION, ImageInput, TabularInput

_LABEL_NAMES = ("label", "target", "class", "y", "category", "species", "diagnosis", "outcome")
_ID_NAMES = ("id", "row_id", "uid", "uuid", "key", "index", "__index_level_0__")
_MAX_CLASSES = 200
_IMAGE_SIDE = 32


@dataclass(frozen=True)
class Found:
    """What a look at the data found."""

    name: str
    path: Path
    label: str
    id: str
    classes: list[str]
    input: TabularInput | ImageInput
    split_column: str | None = None
    notes: list[str] = field(default_factory=list)
    """What a person should know or check."""


def look_at(path: Path, *, label: str | None, id_column: str | None) -> Found:
    """Find out what a Parquet file or folder, or a folder of images, holds.

    Args:
        path: the data.
        label: the class column, where the caller knows it.
        id_column: the id column, where the caller knows it.

    Raises:
        UserError: there is nothing to read, or no column can be the label.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir() and not any(path.rglob("*.parquet")):
        return _look_at_images(path)
    return _look_at_parquet(path, label, id_column)


def first_recipe(found: Found, folder: Path) -> str:
    """The recipe as YAML, with the data's path relative to ``folder`` where it lies below it."""
    path = found.path.resolve()
    uri = path.relative_to(folder) if path.is_relative_to(folder) else path
    values: dict[str, Any] = {
        "name": found.name,
        "uri": str(uri),
        "id": found.id,
        "label": found.label,
        "classes": found.classes,
        "split_column": found.split_column,
        "kind": found.input.kind,
    }
    if found.input.kind == "tabular":
        values["columns"] = found.input.columns
    else:
        values.update(image_column=found.input.column, size=found.input.size)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines"),
        autoescape=False,  # noqa: S701 - YAML, with every value through tojson
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("recipe.yaml.j2").render(values)


def _look_at_images(root: Path) -> Found:
    from PIL import Image

    from components.data_validation.image_folder import image_files

    files = image_files(root)
    sizes, grey = set(), True
    for file in files[:: max(1, len(files) // 200)]:
        try:
            with Image.open(file) as image:
                sizes.add(image.size)
                grey = grey and image.mode in {"1", "L"}
        except OSError as error:
            raise UserError(f"{file}: this image cannot be decoded ({error})") from error
    notes = []
    width, height = next(iter(sizes))
    if len(sizes) > 1 or max(width, height) > 2 * _IMAGE_SIDE:
        width = height = _IMAGE_SIDE
        notes.append(f"images are resized to {height}x{width}; change data.input.size if you like")
    classes = sorted({file.relative_to(root).parts[0] for file in files})
    return Found(
        name=_slug(root.resolve().name),
        path=root,
        label="label",
        id="id",
        classes=classes,
        input=ImageInput(kind="image", column="image", size=[1 if grey else 3, height, width]),
        notes=notes,
    )


def _look_at_parquet(path: Path, label: str | None, id_column: str | None) -> Found:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    try:
        table = pa.concat_tables([pq.read_table(f) for f in files], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({error})") from error
    if table.num_rows == 0:
        raise UserError(f"{path}: has no rows")
    for given, option in ((label, "--label"), (id_column, "--id")):
        if given is not None and given not in table.column_names:
            names = ", ".join(table.column_names)
            raise UserError(f"{option} {given}: {path} has no such column; it has {names}")
    columns = _Columns(table)
    split = columns.split_column()
    id_name = id_column or columns.id_column() or POSITION
    label_name = label or columns.label_column({id_name, split})
    input_spec, notes = columns.features({id_name, label_name, split})
    return Found(
        name=_slug(path.resolve().stem),
        path=path,
        label=label_name,
        id=id_name,
        classes=columns.classes(label_name),
        input=input_spec,
        split_column=split,
        notes=notes,
    )


class _Columns:
    """Guesses about the columns of an Arrow table."""

    def __init__(self, table: Any) -> None:
        import pyarrow.compute as pc

        self._table, self._compute = table, pc
        self._rows: int = table.num_rows
        self._kinds: dict[str, str] = {
            name: kind_of(table.schema.field(name).type) for name in table.column_names
        }

    def id_column(self) -> str | None:
        """A column with a unique value in every row, by a usual name if possible."""
        unique = [name for name in self._kinds if self._may_be_id(name)]
        named = [name for name in unique if name.lower() in _ID_NAMES]
        ending = [name for name in unique if name.lower().endswith("_id")]
        text = [name for name in unique if self._kinds[name] == TEXT]
        return next(iter((*named, *ending, *text)), None)

    def split_column(self) -> str | None:
        """A column called ``split`` that holds nothing but the names of splits."""
        if self._kinds.get("split") != TEXT:
            return None
        values = set(self._compute.unique(self._table.column("split")).to_pylist())
        return "split" if values <= {*SPLITS, None} else None

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
        return free[-1]

    def classes(self, label: str) -> list[str]:
        """Class names, in the order of numbers or of the alphabet."""
        values = self._compute.unique(self._table.column(label)).to_pylist()
        names = sorted({name for name in map(label_name, values) if name is not None})
        if len(names) < 2:
            raise UserError(f"column {label!r} has {len(names)} classes; at least 2 are needed")
        if len(names) > _MAX_CLASSES:
            raise UserError(
                f"column {label!r} has {len(names)} different values; it does not look like a "
                "class: name another with --label"
            )
        return names if self._kinds[label] == TEXT else sorted(names, key=float)

    def features(self, taken: set[str | None]) -> tuple[TabularInput | ImageInput, list[str]]:
        """The input, and notes about columns that are left out."""
        free = [name for name in self._kinds if name not in taken]
        images = [name for name in free if self._kinds[name] in ALLOWED["image"]]
        if images:
            return self._image(images[0]), []
        numeric = [name for name in free if self._kinds[name] in ALLOWED["feature"]]
        if not numeric:
            raise UserError("no column holds numbers or images; there is nothing to learn from")
        left_out = [name for name in free if name not in numeric]
        notes = [f"left out, not numeric: {', '.join(left_out)}"] if left_out else []
        return TabularInput(columns=numeric), notes

    def _image(self, name: str) -> ImageInput:
        first = self._table.column(name).drop_null()[0].as_py()
        if isinstance(first, bytes):
            size = _encoded_size(first, name)
            return ImageInput(kind="image", column=name, size=size)
        for channels in (1, 3):
            side = round((len(first) / channels) ** 0.5)
            if side * side * channels == len(first):
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
        if self._kinds[name] not in {TEXT, WHOLE, BOOLEAN}:
            return False
        return 2 <= self._distinct(name) <= min(_MAX_CLASSES, max(2, self._rows // 5))

    def _distinct(self, name: str) -> int:
        return int(self._compute.count_distinct(self._table.column(name)).as_py())


def _encoded_size(data: bytes, column: str) -> list[int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return [1 if image.mode in {"1", "L"} else 3, image.height, image.width]
    except OSError as error:
        raise UserError(f"column {column!r} holds bytes that are not an image") from error


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "recipe"
