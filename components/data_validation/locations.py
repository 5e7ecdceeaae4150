"""Which files are at a URI: local paths and objects in S3."""

from pathlib import Path, PurePosixPath

from components.data_validation.columns import nearest
from components.shared.errors import UserError
from components.shared.storage import is_s3, join, local_path, open_storage, split
from components.shared.storage.uris import s3_location

_SUFFIX = ".parquet"


def data_files(uri: str, name: str) -> list[str]:
    """The file at a URI, or the Parquet files below the folder there, in the order of their names.

    Files that are hidden or metadata (``_*``), or in such a folder below the URI, are left out:
    those of a writer that is not done, and the logs of table formats. A folder has the same order
    of files wherever it lies.

    Args:
        uri: a path, ``file://`` or ``s3://``.
        name: of the option that has the URI, for errors.

    Returns:
        Absolute paths, or URIs; none for a local folder without Parquet files.

    Raises:
        UserError: there is nothing; the message names the nearest file. S3 has no Parquet file
            there, or may not be read.
        StorageFailed: S3 is out of reach.
    """
    if is_s3(uri):
        return _objects(uri, name)
    path = existing_path(uri, name)
    files = [path] if path.is_file() else parquet_files(path)
    return [writable(str(file)) for file in files]


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files below a folder that hold data: neither hidden nor metadata (``_*``)."""
    found = folder.rglob(f"*{_SUFFIX}")
    return sorted(
        file
        for file in found
        if _holds_data(file.relative_to(folder).as_posix()) and file.is_file()
    )


def existing_path(uri: str, name: str) -> Path:
    """The file or folder at a URI, absolute.

    Args:
        uri: a path or ``file://``.
        name: of the option that has the URI, for the error.

    Raises:
        UserError: there is none, and the message names the nearest one; or it cannot be told.
    """
    path = local_path(uri).expanduser().resolve()
    try:
        if path.is_file() or path.is_dir():
            return path
        hint = _sibling(path)
    except OSError as error:
        raise UserError(
            f"{name}: {path} cannot be looked for ({error.strerror}); ask for the right to read "
            "the folders above it, or name another place"
        ) from error
    raise UserError(f"{name}: there is no file or folder {path}{hint}")


def writable(path: str) -> str:
    """A path that can be written down.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="replace").decode()
        raise UserError(f"{shown}: the name of this file is not UTF-8; rename it") from error
    return path


def _objects(uri: str, name: str) -> list[str]:
    if s3_location(uri).key and not uri.endswith("/"):
        root, single = split(uri)
        if open_storage(root).exists(single):
            return [uri]
    names = [found.name for found in open_storage(uri).list()]
    files = [file for file in names if file.endswith(_SUFFIX) and _holds_data(file)]
    if files:
        # As paths, so that folders come in the order of local ones: part by part.
        return [join(uri, file) for file in sorted(files, key=PurePosixPath)]
    if not names:
        raise UserError(f"{name}: there is nothing at {uri}")
    raise UserError(
        f"{name}: there is no Parquet file (*{_SUFFIX}) below {uri}; images in S3 have to be "
        "described in Parquet, or copied to a local folder"
    )


def _holds_data(file: str) -> bool:
    """Whether a file, by its path below the folder, is neither hidden nor metadata."""
    return not any(part.startswith((".", "_")) for part in PurePosixPath(file).parts)


def _sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor is there a folder {path.parent})"
    names = sorted(other.name for other in path.parent.iterdir())
    hint = nearest(path.name, names)
    return f"; {hint}" if hint.startswith("did you mean") else ""
