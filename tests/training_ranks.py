"""Functions that are called on several processes at once, which have joined to train together."""

import multiprocessing
import os
import pickle
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from components.shared.training.distributed import joined
from tests.servers.processes import free_ports

# A server that has imported torch and forks: a process is there at once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["components.training.process"])
PATIENCE_S = 240


def on_ranks(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a function returns on each of ``count`` ranks, or how it ended: exit status or error."""
    (port,) = free_ports(1)
    ends, processes = [], []
    for rank in range(count):
        here, there = PROCESSES.Pipe(duplex=False)
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        process = PROCESSES.Process(
            target=_run, args=(there, environment, function, arguments), daemon=True
        )
        process.start()
        there.close()
        ends.append(here)
        processes.append(process)
    try:
        return [_received(end) for end in ends]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _received(end: Connection) -> Any:
    assert end.poll(PATIENCE_S), "a rank hangs"
    return pickle.loads(end.recv_bytes())  # noqa: S301 - of our own process


def _run(
    end: Connection,
    environment: dict[str, str],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    with joined():
        try:
            result = function(*arguments)
        except SystemExit as ended:
            result = ended.code
        except Exception as error:
            result = error
        end.send_bytes(pickle.dumps(result))  # whole, where send would share tensors' memory
