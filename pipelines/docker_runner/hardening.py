"""What a container may do: as little as a step needs, in the terms of the Docker SDK."""

import os
from typing import Any

from pipelines.docker_runner.surroundings import Surroundings

HOME = "/tmp"  # noqa: S108 - of the container, which has it for itself
_TEMPORARY = "rw,nosuid,nodev,noexec,mode=1777"
_MOST_PROCESSES = 4096
"""Threads included, of which the libraries of a step start some for each core."""


def container_arguments(given: Surroundings, labels: dict[str, str]) -> dict[str, Any]:
    """Arguments of ``containers.run`` for every step of a run.

    The process runs as the user who calls, in that user's groups, so that it may read and write
    what a process of this machine might. The file system of the image is read-only.

    Args:
        given: what the run needs of this machine.
        labels: by which its containers are found again.
    """
    from docker.types import LogConfig, Mount

    mounts = [(path, True) for path in given.read_only] + [(path, False) for path in given.writable]
    return {
        "user": f"{os.getuid()}:{os.getgid()}",
        "group_add": [str(group) for group in os.getgroups() if group != os.getgid()],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": _MOST_PROCESSES,
        "tmpfs": {HOME: _TEMPORARY},
        "working_dir": HOME,
        "network_mode": given.network,
        "mounts": [
            Mount(str(path), str(path), type="bind", read_only=read_only)
            for path, read_only in mounts
        ],
        "environment": {
            **given.environment,
            "HOME": HOME,
            # The user has no name in the image, and some libraries ask for it.
            "USER": "kubedistill",
            # Else a letter that two blocks of the log share would end the run: KFP decodes each
            # block by itself.
            "PYTHONIOENCODING": "ascii:backslashreplace",
        },
        # What the command names is run, as in a pod, whatever the image runs by default.
        "entrypoint": [""],
        # The first process of a container ignores signals that it has no handler for: a stop would
        # be a kill.
        "init": True,
        # KFP reads the log, which not every driver lets it.
        "log_config": LogConfig(type=LogConfig.types.JSON),
        "labels": labels,
    }
