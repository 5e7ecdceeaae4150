"""A first recipe for a data set: what its columns seem to be, and sensible defaults around them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import jinja2
import yaml

from components.data_validation.locations import data_files, parquet_files
from components.shared.errors import UserError
from components.shared.recipe import POSITION, ImageInput, TabularInput
from components.shared.recipe.inputs import TextInput
from components.shared.storage import is_s3, open_storage, split
from pipelines.table_columns import TableColumns

_IMAGE_SIDE = 32


@dataclass(frozen=True)
class Found:
    """What a look at the data found."""

    name: str
    uri: str
    """A local path, or ``s3://``."""
    label: str
    id: str
    classes: list[str]
    input: TabularInput | ImageInput | TextInput
    split_column: str | None = None
    notes: list[str] = field(default_factory=list)
    """What a person should know or check."""


def look_at(uri: str, *, label: str | None, id_column: str | None) -> Found:
    """Find out what a Parquet file or folder, or a folder of images, holds.

    Args:
        uri: the data, a local path or ``s3://``.
        label: the class column, where the caller knows it.
        id_column: the id column, where the caller knows it.

    Raises:
        UserError: there is nothing to read, or no column can be the label.
    """
    if is_s3(uri):
        objects = [
            open_storage(root).open(name) for root, name in map(split, data_files(uri, "DATA"))
        ]
        return _look_at_parquet(uri, objects, label, id_column)
    path = Path(uri).expanduser()
    try:
        files = parquet_files(path) if path.is_dir() else [path]
        if files:
            return _look_at_parquet(str(path), files, label, id_column)
        for given, option in ((label, "--label"), (id_column, "--id")):
            if given is not None:
                raise UserError(f"{option} {given}: {path} holds no Parquet file with columns")
        return _look_at_images(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def first_recipe(found: Found, folder: Path) -> str:
    """The recipe as YAML, with the data's path relative to ``folder`` where it lies below it."""
    values: dict[str, Any] = {
        "name": found.name,
        "uri": found.uri if is_s3(found.uri) else _seen_from(folder, Path(found.uri).resolve()),
        "id": found.id,
        "label": found.label,
        "classes": found.classes,
        "split_column": found.split_column,
        "kind": found.input.kind,
    }
    match found.input:
        case TabularInput():
            values.update(columns=found.input.parts, missing=found.input.missing)
        case ImageInput():
            values.update(column=found.input.column, size=found.input.size)
        case TextInput():
            values.update(column=found.input.column, length=found.input.length)
            values["tokenizer"] = found.input.tokenizer
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines"),
        autoescape=False,  # noqa: S701 - YAML, with every text through quoted
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["quoted"] = _quoted
    return environment.get_template("recipe.yaml.j2").render(values)


def _seen_from(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _quoted(value: str | list[str]) -> str:
    """Text or a list of texts as YAML that means the same whatever is in it."""
    text: str = yaml.safe_dump(
        value, default_style='"', default_flow_style=True, allow_unicode=True, width=math.inf
    )
    return text.strip()


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
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{file}: this image cannot be decoded ({error})") from error
    classes = sorted({file.relative_to(root).parts[0] for file in files})
    if len(classes) < 2:
        raise UserError(
            f"{root}: has one class folder, {classes[0]!r}; at least 2 classes are needed"
        )
    notes = []
    width, height = next(iter(sizes))
    if len(sizes) > 1 or max(width, height) > 2 * _IMAGE_SIDE:
        width = height = _IMAGE_SIDE
        notes.append(f"images are resized to {height}x{width}; change data.input.size if you like")
    return Found(
        name=_slug(root.resolve().name),
        uri=str(root),
        label="label",
        id="id",
        classes=classes,
        input=ImageInput(kind="image", column="image", size=[1 if grey else 3, height, width]),
        notes=notes,
    )


def _look_at_parquet(
    uri: str, files: Sequence[Path | BinaryIO], label: str | None, id_column: str | None
) -> Found:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parts = [pq.ParquetFile(file).read() for file in files]
        for names in (part.column_names for part in parts):
            if len(set(names)) < len(names):
                repeated = next(name for name in names if names.count(name) > 1)
                raise UserError(f"{uri}: has several columns called {repeated!r}; rename them")
        table = pa.concat_tables(parts, promote_options="permissive")
    except FileNotFoundError as error:
        raise UserError(f"{uri}: no such file or folder") from error
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{uri}: cannot be read as Parquet ({reason})") from error
    if table.num_rows == 0:
        raise UserError(f"{uri}: has no rows")
    if POSITION in table.column_names:
        raise UserError(f"{uri}: {POSITION!r} stands for rows without an id; rename that column")
    columns = TableColumns(table)
    if label is not None:
        columns.check_label(label)
    if id_column is not None:
        columns.check_id(id_column)
    if label is not None and label == id_column:
        raise UserError(f"--label and --id are both {label!r}; one column cannot be both")
    split_column = columns.split_column()
    id_name = id_column or columns.id_column({label}) or POSITION
    label_name = label or columns.label_column({id_name, split_column})
    input_spec, notes = columns.features({id_name, label_name, split_column})
    return Found(
        name=_slug(PurePosixPath(uri.rstrip("/")).stem if is_s3(uri) else Path(uri).resolve().stem),
        uri=uri,
        label=label_name,
        id=id_name,
        classes=columns.classes(label_name, split_column),
        input=input_spec,
        split_column=split_column,
        notes=notes,
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "recipe"
