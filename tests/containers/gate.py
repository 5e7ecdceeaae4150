"""A network of which two ports of this machine are all: S3's and MLflow's.

A container without a network listens on those ports of its loopback, and passes what comes on to
Unix sockets, behind which a process of this machine passes it on to the same ports here. Containers
that share its network (``--network container:NAME``) find both where they are on this machine, and
nothing else.

The module is the program at both ends: ``python gate.py FROM=TO...``, where each is a port of
loopback, or the path of a socket.
"""

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_HOST = "127.0.0.1"
_BLOCK = 1 << 16


@contextmanager
def gate(client: Any, image: str, ports: Sequence[int], folder: Path) -> Iterator[str]:
    """The network, as ``--network`` names it, for the block.

    Args:
        client: of the Docker engine.
        image: with ``python3``.
        ports: of this machine's loopback.
        folder: a short path, for the sockets.
    """
    sockets = {port: folder / str(port) for port in ports}
    program = Path(__file__)
    outer = [f"{path}={port}" for port, path in sockets.items()]
    inner = [f"{port}=/gate/{port}" for port in ports]
    with subprocess.Popen([sys.executable, program, *outer]) as process:
        try:
            _wait(lambda: all(path.exists() for path in sockets.values()))
            container = client.containers.run(
                image,
                ["python3", "/gate.py", *inner],
                name=f"kubedistill-gate-{uuid.uuid4().hex[:8]}",
                user="0:0",
                network_mode="none",
                detach=True,
                volumes={
                    str(program): {"bind": "/gate.py", "mode": "ro"},
                    str(folder): {"bind": "/gate", "mode": "rw"},
                },
            )
            try:
                _wait(lambda: b"listening" in container.logs())
                yield f"container:{container.name}"
            finally:
                container.remove(force=True)
        finally:
            process.kill()


def _wait(ready: Any) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, "the gate did not open"
        time.sleep(0.05)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
    with suppress(ConnectionError, OSError):
        writer.write_eof()


async def _forward(pair: str) -> None:
    listen, _, connect = pair.partition("=")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if connect.isdecimal():
            onward = await asyncio.open_connection(_HOST, int(connect))
        else:
            onward = await asyncio.open_unix_connection(connect)
        await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))
        onward[1].close()
        writer.close()

    if listen.isdecimal():
        server = await asyncio.start_server(serve, _HOST, int(listen))
    else:
        server = await asyncio.start_unix_server(serve, listen)
    print("listening", flush=True)
    await server.serve_forever()


async def _main(pairs: Sequence[str]) -> None:
    await asyncio.gather(*map(_forward, pairs))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
