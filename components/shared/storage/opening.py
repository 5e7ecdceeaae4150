"""From a URI to the storage behind it."""

from components.shared.storage.local import LocalStorage
from components.shared.storage.protocol import Storage
from components.shared.storage.s3 import S3Storage
from components.shared.storage.uris import is_s3, local_path


def open_storage(uri: str) -> Storage:
    """The storage behind a path, ``file://`` or ``s3://BUCKET/PREFIX``; nothing is asked yet.

    Raises:
        UserError: for a scheme that has no implementation.
    """
    return S3Storage(uri) if is_s3(uri) else LocalStorage(local_path(uri))
