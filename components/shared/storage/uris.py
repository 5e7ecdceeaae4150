"""URIs of objects: taken apart and put together, without asking anybody."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from components.shared.errors import UserError

S3_SCHEME = "s3://"
_FILE_SCHEME = "file://"


class S3Location(NamedTuple):
    """A bucket and what lies in it."""

    bucket: str
    key: str
    """Of an object, or a prefix without a slash at its end."""


def is_s3(uri: str) -> bool:
    """Whether the URI is in S3."""
    return uri.startswith(S3_SCHEME)


def s3_location(uri: str) -> S3Location:
    """What an ``s3://`` URI names. Nothing in it is an escape: keys may hold ``?``, ``#`` and
    ``%``.

    Raises:
        UserError: there is no bucket in it; or slashes follow each other, which most tools would
            make one of, and so name another object.
    """
    bucket, _, key = uri.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        raise UserError(f"{uri}: this URI has no bucket; write s3://BUCKET/PREFIX")
    key = key.removesuffix("/")
    if key and "" in key.split("/"):
        raise UserError(f"{uri}: this URI has // in its key; write one /, or rename the object")
    return S3Location(bucket, key)


def local_path(uri: str) -> Path:
    """The local path that a path or ``file://`` URI names.

    Raises:
        UserError: for any other scheme.
    """
    if uri.startswith(_FILE_SCHEME):
        host, slash, path = uri.removeprefix(_FILE_SCHEME).partition("/")
        if host not in {"", "localhost"} or not slash:
            raise UserError(f"{uri}: write file:///ABSOLUTE/PATH")
        return Path(unquote(f"/{path}"))
    if "://" in uri:
        raise UserError(
            f"{uri}: {uri.partition('://')[0]}:// is not supported here; use a path, file:// or s3://"
        )
    return Path(uri)


def join(root: str, *names: str) -> str:
    """The URI of an object, or of a root, below a root; without a root, the names alone."""
    if not root:
        return "/".join(names)
    return "/".join([root.rstrip("/"), *names])


def split(uri: str) -> tuple[str, str]:
    """The root and the name of an object: all up to its last slash, and what follows.

    Raises:
        UserError: no object can be at this URI.
    """
    if is_s3(uri):
        bucket, key = s3_location(uri)
        *folders, name = key.split("/")
        root = "/".join([f"{S3_SCHEME}{bucket}", *folders])
    else:
        path = local_path(uri)
        root, name = str(path.parent), path.name
    if not name or uri.endswith("/"):
        raise UserError(f"{uri}: this URI names a folder, not a file")
    return root, name


def checked_name(name: str) -> str:
    """A name of an object, which stays below its root.

    Raises:
        UserError: it leads out of it.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{name!r}: this name leads out of its folder")
    return name
