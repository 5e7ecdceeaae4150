"""S3: whether data can be read, and the recipe's storage written, with the credentials here."""

import os
import secrets
from collections.abc import Iterator

from components.shared.cluster import in_pod
from components.shared.errors import StorageFailed, UserError
from components.shared.storage import is_s3, open_storage
from pipelines.doctor.findings import Finding
from pipelines.doctor.needs import Needs
from pipelines.doctor.reach import only_in_cluster

_BUILT_IN = "builtin://"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables that may name the server; the first that is set counts."""


def check_data(needs: Needs) -> Iterator[Finding]:
    """Whether the data's files can be listed, and the first of them read."""
    if needs.data is None:
        return
    uri = needs.data
    if uri.startswith(_BUILT_IN):
        yield Finding("data", "ok", f"{uri} is in the image")
    elif is_s3(uri):
        yield _hidden("data") or _read_first(uri)
    else:
        yield _folder("data", uri)


def check_storage(needs: Needs) -> Iterator[Finding]:
    """Whether an object can be written below the storage, read and deleted."""
    if needs.recipe is None:
        return
    if not needs.storage:
        said = "the recipe has none: an interrupted training starts over, and labels are not reused"
        yield Finding("storage", "warning", said, "set storage to an s3:// URI")
    elif is_s3(needs.storage):
        yield _hidden("storage") or _probe(needs.storage)
    else:
        yield _folder("storage", needs.storage)


def _read_first(uri: str) -> Finding:
    from components.data_validation.locations import data_files

    try:
        files = data_files(uri, "data.uri")
        folder, _, name = files[0].rpartition("/")
        with open_storage(folder).open(name) as file:
            file.read(4)
    except (UserError, StorageFailed, FileNotFoundError) as error:
        return Finding("data", "failed", _without_end(error), _credentials(error))
    return Finding("data", "ok", f"{len(files)} Parquet files at {uri}")


def _probe(uri: str) -> Finding:
    storage, name = open_storage(uri), f".kubedistill-doctor-{secrets.token_hex(8)}"
    content = secrets.token_bytes(16)
    try:
        storage.write(name, content)
        came_back = storage.read(name)
        storage.delete(name)
        left = storage.exists(name)
    except (UserError, StorageFailed, FileNotFoundError) as error:
        return Finding("storage", "failed", _without_end(error), _credentials(error))
    if came_back != content or left:
        said = f"what was written to {uri} is not what is there afterwards"
        return Finding("storage", "failed", said, "use a storage that is consistent, as S3 is")
    return Finding("storage", "ok", f"{uri} takes objects, gives them back and deletes them")


def _hidden(check: str) -> Finding | None:
    """That S3 cannot be tried from here, by its address or for want of credentials; else null."""
    name = next(filter(os.environ.get, _ENDPOINTS), _ENDPOINTS[0])
    try:
        said = only_in_cluster(os.environ.get(name, ""), name)
    except UserError as error:
        return Finding(check, "failed", str(error), f"set {name} to the URL of an S3 server")
    if said:
        return Finding(check, "unchecked", said, "run this in a pod")
    if not in_pod() and _without_credentials():
        advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or run in a pod"
        return Finding(check, "unchecked", "this machine has no credentials for S3", advice)
    return None


def _without_credentials() -> bool:
    import boto3

    return boto3.Session().get_credentials() is None


def _folder(check: str, uri: str) -> Finding:
    return Finding(
        check,
        "unchecked",
        f"{uri} is a folder: whether pods have it is not to be seen from here",
        "use an s3:// URI, unless all pods mount it",
    )


def _credentials(error: Exception) -> str:
    if isinstance(error, StorageFailed):
        return "check AWS_ENDPOINT_URL_S3 and the network policies"
    return "check the URI in the recipe, and the credentials (secret kubedistill-s3)"


def _without_end(error: Exception) -> str:
    return " ".join(str(error).split())
