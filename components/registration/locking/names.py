"""Names of locks: readable, short enough everywhere, and never the same for different things."""

import hashlib
import re
from collections.abc import Sequence

_LENGTH = 63
_HASH_LENGTH = 12


def lease_name(model: str, alias: str) -> str:
    """The Lease of a model's alias.

    The server's address is not in it: one server can have several, and its writers must meet.
    """
    return label(["kubedistill", model, alias], unique=[model, alias])


def lock_file_name(server: str, model: str, alias: str) -> str:
    """The lock file of a model's alias on a server."""
    return f"{label([model, alias], unique=[server, model, alias])}.lock"


def label(words: Sequence[str], *, unique: Sequence[str]) -> str:
    """A DNS label (RFC 1123, at most 63 characters).

    Args:
        words: what people should recognise; what does not fit is left out.
        unique: a hash of these keeps apart what would look the same.
    """
    digest = hashlib.sha256("\0".join(unique).encode()).hexdigest()[:_HASH_LENGTH]
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
    return f"{text[: _LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{digest}".lstrip("-")
