"""The process that outlives a run by seconds: ends the containers that the run has left.

``python reaper.py LABEL``: waits for the end of its standard input, a pipe that the run holds open
and that ends with it, whatever the run dies of. Then the containers with the label get SIGTERM, ten
seconds to save a checkpoint, and are removed. Its status is 0 when none is left.
"""

import sys
import time
from contextlib import suppress
from typing import Any

_GRACE_S = 10
_PAUSE_S = 0.3
"""Between two looks; a container that the run had just asked for appears meanwhile."""


def remove_all(client: Any, label: str) -> None:
    """Stop and remove the containers with a label, until there are none at two looks.

    Raises:
        docker.errors.DockerException: the engine does not answer.
    """
    from docker.errors import APIError

    looks_without = 0
    while looks_without < 2:
        found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        looks_without = 0 if found else looks_without + 1
        for container in found:
            with suppress(APIError):  # it has ended, or was not started
                container.kill(signal="SIGTERM")
        for container in found:
            with suppress(APIError):  # it is gone, or going
                container.stop(timeout=_GRACE_S)
            with suppress(APIError):
                container.remove(force=True)
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    sys.stdin.read()
    import docker

    remove_all(docker.from_env(timeout=_GRACE_S + 20), sys.argv[1])
