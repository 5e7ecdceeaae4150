"""Where the rows come from: built-in sets, Parquet files, folders of images; all end as Parquet."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.data_validation.columns import TEXT, Role, check_columns, kind_of
from components.data_validation.fetching import fetched
from components.data_validation.locations import data_files, existing_path
from components.shared.dataset import Shard
from components.shared.errors import UserError
from components.shared.recipe import DataSpec
from components.shared.shards import Wanted, open_shards, read_shards
from components.shared.spans import Span, read_spans, state_of
from components.shared.storage import is_s3

WRITTEN = "data.parquet"
"""Name of the shard that is written for sources that are not Parquet."""
_KEPT: set[Role] = {"id", "label", "split", "time"}
_ROWS = 65_536


@dataclass(frozen=True)
class Source:
    """The Parquet files of a data set, checked for the columns that are used."""

    uri: str
    """What errors call them together."""
    folder: Path
    """What the shards' paths are relative to."""
    shards: list[Shard]
    schema: pa.Schema
    """The used columns, in types that hold the values of all shards."""
    table: pa.Table
    """Ids, labels, splits and times of all rows, in the order of the shards."""

    def batches(self, columns: list[str]) -> Iterator[pa.Table]:
        """Any of the used columns of all rows, in the order of the shards and in bounded memory.

        Raises:
            UserError: a file is gone, damaged, or was changed since it was opened.
            StorageFailed: its storage is out of reach.
        """
        wanted = [Wanted(shard, [Span(0, shard.rows)]) for shard in self.shards if shard.rows]
        types = {field.name: str(field.type) for field in self.schema}
        for found in read_shards(wanted, self.folder, columns, _ROWS, self.uri, types):
            yield found.chunk.table

    def local_files(self) -> Iterator[Path]:
        """Each file in turn, with its content checked; it stays until the next is asked for.

        Raises:
            UserError: a file is gone, or was changed since it was opened.
            StorageFailed: its storage is out of reach.
        """
        return open_shards(self.shards, self.folder, self.uri)

    def where(self, row: int) -> str:
        """A row, counted over all files, by its file and its position there."""
        ends = list(accumulate(shard.rows for shard in self.shards))
        number = bisect_right(ends, row)
        shard = self.shards[number]
        return f"{shard.location(self.folder)}: row {row - ends[number] + shard.rows}"


def open_source(spec: DataSpec, roles: dict[str, Role], folder: Path) -> Source:
    """Find the files behind ``spec.uri``; write them into ``folder`` where they are not Parquet.

    Raises:
        UserError: there is nothing at the URI, it is not Parquet, has no rows, or a column is
            missing or of the wrong type.
    """
    return open_files(_places(spec, folder), roles, spec.uri, folder)


def open_files(places: Sequence[str], roles: dict[str, Role], uri: str, folder: Path) -> Source:
    """Open Parquet files: each is read once, hashed, and checked for the columns that are used.

    Args:
        places: absolute paths or ``s3://`` URIs, at least one.
        roles: the columns.
        uri: what errors call the files together.
        folder: where those of them lie that were written for the data set; the others are named by
            absolute path.

    Raises:
        UserError: one is not Parquet, all are empty, or a column is missing or of the wrong type.
        StorageFailed: S3 is out of reach.
    """
    kept = [name for name, role in roles.items() if role in _KEPT]
    shards: list[Shard] = []
    schemas: dict[str, pa.Schema] = {}
    tables: list[pa.Table] = []
    for place in places:
        written = not is_s3(place) and Path(place).parent == folder
        where = uri if written else place
        try:
            with fetched(place) as file, _parquet(file.path, where) as parquet:
                path = Path(place).name if written else place
                rows = parquet.metadata.num_rows
                shards.append(Shard(path=path, rows=rows, bytes=file.bytes, sha256=file.sha256))
                schemas[where] = parquet.schema_arrow
                if rows:
                    check_columns(parquet.schema_arrow, roles, where)
                    used = _schema(parquet.schema_arrow, list(roles))
                    _check_text(file.path, used, rows, where)
                    tables.append(_read(parquet, kept, where))
        except OSError as error:
            raise UserError(f"{where}: cannot be read ({_line(error)})") from error
    if not tables:
        raise UserError(f"{uri}: there are no rows in it")
    for where, found in schemas.items():
        check_columns(found, roles, where)
    schema = _unify([_schema(found, list(roles)) for found in schemas.values()], uri)
    tables = [_schema(schema, kept).empty_table(), *tables]
    table = pa.concat_tables(tables, promote_options="permissive")
    return Source(uri, folder, shards, schema, table)


def _check_text(path: Path, schema: pa.Schema, rows: int, where: str) -> None:
    """Refuse what calls itself text and is none, which nothing else looks for.

    Args:
        path: a file.
        schema: of the columns that are used.
        rows: of the file.
        where: what errors call the file.
    """
    texts = [field.name for field in schema if kind_of(field.type) == TEXT]
    spans = [Span(0, rows)] if texts else []
    for first, table in read_spans(path, state_of(path), where, spans, texts, _ROWS):
        for name in texts:
            try:
                table.column(name).validate(full=True)
            except pa.ArrowInvalid as error:
                row = first + _first_that_is_no_text(table.column(name))
                raise UserError(
                    f"{where}: row {row}: the column {name!r} holds text that is not UTF-8; write "
                    "the file again with the right encoding"
                ) from error


def _first_that_is_no_text(column: pa.ChunkedArray) -> int:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    values = column.cast(kind).cast(pa.large_binary())
    for row, value in enumerate(values.to_pylist()):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return row
    return 0


@contextmanager
def _parquet(path: Path, where: str) -> Iterator[pq.ParquetFile]:
    try:
        parquet = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise UserError(f"{where}: this is not a Parquet file ({_line(error)})") from error
    with parquet:
        yield parquet


def _schema(schema: pa.Schema, names: list[str]) -> pa.Schema:
    return pa.schema([schema.field(name).remove_metadata() for name in names])


def _read(parquet: pq.ParquetFile, columns: list[str], where: str) -> pa.Table:
    try:
        return parquet.read(columns)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{where}: this Parquet file is damaged ({_line(error)})") from error


def _places(spec: DataSpec, folder: Path) -> list[str]:
    # scikit-learn and Pillow are loaded only for the sources that need them.
    if spec.uri.startswith("builtin://"):
        from components.data_validation.builtin import write_builtin

        write_builtin(spec.uri, folder / WRITTEN)
        return [str(folder / WRITTEN)]
    places = data_files(spec.uri, "data.uri")
    if places:
        return places
    path = existing_path(spec.uri, "data.uri")
    if spec.input.kind != "image":
        raise UserError(f"data.uri: the folder {path} holds no Parquet file (*.parquet)")
    if spec.split.by == "column":
        raise UserError(
            "data.split.by: a folder of images has no split column; use random, or describe the "
            "images in a Parquet file"
        )
    from components.data_validation.image_folder import write_images

    write_images(path, spec, spec.input, folder / WRITTEN)
    return [str(folder / WRITTEN)]


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
