"""Where the rows come from: built-in sets, Parquet files, folders of images; all end as Parquet."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.columns import Role, check_columns, nearest
from components.shared.dataset import Shard
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe import DataSpec
from components.shared.storage import local_path

WRITTEN = "data.parquet"
"""Name of the shard that is written for sources that are not Parquet."""


@dataclass(frozen=True)
class Source:
    """The Parquet files of a data set, checked for the columns that are used."""

    shards: list[Shard]
    files: list[Path]
    """Where the shards lie now, in the same order."""
    schema: pa.Schema
    """The used columns, in types that hold the values of all shards."""

    def read(self, columns: list[str]) -> pa.Table:
        """These columns of all rows, in the order of the shards.

        Raises:
            UserError: a file is damaged.
        """
        tables = []
        for file in self.files:
            try:
                tables.append(pq.ParquetFile(file).read(columns=columns))
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{file}: this Parquet file is damaged ({_line(error)})") from error
        return pa.concat_tables(tables, promote_options="permissive")


def open_source(spec: DataSpec, roles: dict[str, Role], folder: Path) -> Source:
    """Find the files behind ``spec.uri``; write them into ``folder`` where they are not Parquet.

    Raises:
        UserError: there is nothing at the URI, it is not Parquet, has no rows, or a column is
            missing or of the wrong type.
    """
    files = _source_files(spec, folder)
    shards: list[Shard] = []
    schemas: dict[str, pa.Schema] = {}
    for file in files:
        where = spec.uri if file.parent == folder else str(file)
        try:
            with pq.ParquetFile(file) as parquet:
                schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
            shard = Shard(
                path=file.name if file.parent == folder else str(file),
                rows=rows,
                bytes=file.stat().st_size,
                sha256=sha256_file(file),
            )
        except pa.ArrowException as error:
            raise UserError(f"{where}: this is not a Parquet file ({_line(error)})") from error
        except OSError as error:
            raise UserError(f"{where}: cannot be read ({_line(error)})") from error
        shards.append(shard)
        schemas[where] = schema
    if not sum(shard.rows for shard in shards):
        raise UserError(f"{spec.uri}: there are no rows in it")
    for where, schema in schemas.items():
        check_columns(schema, roles, where)
    used = [
        pa.schema([schema.field(name).remove_metadata() for name in roles])
        for schema in schemas.values()
    ]
    return Source(shards, files, _unify(used, spec.uri))


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files below a folder that hold data: neither hidden nor metadata (``_*``)."""
    return sorted(
        file
        for file in folder.rglob("*.parquet")
        if file.is_file() and not file.name.startswith((".", "_"))
    )


def _source_files(spec: DataSpec, folder: Path) -> list[Path]:
    # scikit-learn and Pillow are loaded only for the sources that need them.
    if spec.uri.startswith("builtin://"):
        from components.data_validation.builtin import write_builtin

        write_builtin(spec.uri, folder / WRITTEN)
        return [folder / WRITTEN]
    path = local_path(spec.uri).expanduser().resolve()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"data.uri: there is no file or folder {path}{_sibling(path)}")
    files = parquet_files(path)
    if files:
        return files
    if spec.input.kind == "tabular":
        raise UserError(f"data.uri: the folder {path} holds no Parquet file (*.parquet)")
    if spec.split.by == "column":
        raise UserError(
            "data.split.by: a folder of images has no split column; use random, or describe the "
            "images in a Parquet file"
        )
    from components.data_validation.image_folder import write_images

    write_images(path, spec, spec.input, folder / WRITTEN)
    return [folder / WRITTEN]


def _sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor is there a folder {path.parent})"
    names = sorted(other.name for other in path.parent.iterdir())
    hint = nearest(path.name, names)
    return f"; {hint}" if hint.startswith("did you mean") else ""


def _unify(schemas: list[pa.Schema], uri: str) -> pa.Schema:
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(
            f"{uri}: a column differs in type between its files ({_line(error)})"
        ) from error


def _line(error: Exception) -> str:
    """What an error says, on one line."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split())
