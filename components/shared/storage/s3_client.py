"""The S3 client of this process: one for all threads, made by what boto3 finds in its usual places
(environment, profiles, roles)."""

import os
import threading
from dataclasses import dataclass
from typing import Any

from components.shared.errors import UserError
from components.shared.storage.patience import Server
from components.shared.storage.s3_errors import trouble_of

_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 30.0
"""Between two pieces of an answer."""
_CONNECTIONS = 32


@dataclass(frozen=True)
class Connection:
    """A client, and what is known of the server that it calls."""

    client: Any
    server: Server
    who: str
    """Where the credentials are from, and the endpoint, for messages; no secret."""


_lock = threading.Lock()
_made: tuple[tuple[tuple[str, str], ...], Connection] | None = None


def connection() -> Connection:
    """The connection of this process; a new one after a fork, or when the environment changed.

    Raises:
        UserError: the settings that boto3 found make no client.
    """
    global _made  # noqa: PLW0603 - one for each process
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    with _lock:
        if _made is None or _made[0] != settings:
            _made = settings, _connect()
        return _made[1]


def _connect() -> Connection:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.session.Session()
        client = session.client(
            "s3",
            config=Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
                max_pool_connections=_CONNECTIONS,
                retries={"total_max_attempts": 1},  # ``Server`` repeats calls
                tcp_keepalive=True,
            ),
        )
        found = session.get_credentials()
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"S3 is not set up: {error}") from error
    endpoint = client.meta.endpoint_url
    source = f"credentials from {found.method}" if found else "no credentials"
    return Connection(client, Server(endpoint, trouble_of), f"{source}, endpoint {endpoint}")


def _forget() -> None:
    """Sockets are not shared with a child, and a lock may have been held by another thread."""
    global _lock, _made
    _lock, _made = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
