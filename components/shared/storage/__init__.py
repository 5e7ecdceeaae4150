"""Where bytes live: objects below a root, which is a local folder or an S3 prefix."""

from components.shared.storage.copies import local_copy
from components.shared.storage.local import LocalStorage
from components.shared.storage.opening import open_storage
from components.shared.storage.protocol import Damaged, Storage, StoredObject
from components.shared.storage.s3 import S3Storage
from components.shared.storage.uris import is_s3, join, local_path, split

__all__ = [
    "Damaged",
    "LocalStorage",
    "S3Storage",
    "Storage",
    "StoredObject",
    "is_s3",
    "join",
    "local_copy",
    "local_path",
    "open_storage",
    "split",
]
