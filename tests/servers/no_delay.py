"""How the workers of a server speak HTTP: as usual, but each answer leaves at once.

With several workers, uvicorn's own leave out TCP_NODELAY, and the kernel holds back the body of an
answer until the client acknowledges its head: 40 ms of each call.
"""

import asyncio
import socket
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol


class Protocol(H11Protocol):
    """For ``uvicorn --http``."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Tell the kernel to wait for nothing."""
        connection = cast(socket.socket, transport.get_extra_info("socket"))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
