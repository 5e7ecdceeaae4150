"""The Docker engine: whether it is there, and has the images and the network of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.shared.errors import StepFailed, UserError

_DEFAULT = "unix:///var/run/docker.sock"
_TIMEOUT_S = 60.0
_PULL_TIMEOUT_S = 3600.0
_BUILT_IN = ("none", "host", "bridge")
_OF_CONTAINER = "container:"


@contextmanager
def connected(timeout_s: float = _TIMEOUT_S) -> Iterator[Any]:
    """A client of the engine that ``DOCKER_HOST`` names, or of this machine's.

    Raises:
        UserError: the user may not use it, or the variable names none.
        StepFailed: it does not answer.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import ConnectionError as Lost
    from requests.exceptions import Timeout

    try:
        client = docker.from_env(timeout=timeout_s)
    except (DockerException, ValueError) as error:
        raise _unreachable(error) from error
    try:
        yield client
    except (Lost, Timeout) as error:
        where = os.environ.get("DOCKER_HOST") or _DEFAULT
        raise StepFailed(f"the Docker engine at {where} does not answer any more") from error
    finally:
        client.close()


def explain(error: Exception) -> str:
    """What the engine said, or what kept it from answering, on one line."""
    cause = _cause(error)
    said = getattr(error, "explanation", None) or (cause.strerror if cause else error)
    return " ".join(str(said).split())


def bring(client: Any, image: str, say: Any) -> None:
    """See that an image is there, and pull it where it is not.

    Args:
        client: of the engine.
        image: by tag or digest.
        say: is told of what takes long.

    Raises:
        UserError: it is not there, and cannot be pulled.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        try:
            client.images.get(image)
        except ImageNotFound:
            say(f"pulling {image} …")
            with connected(_PULL_TIMEOUT_S) as patient:
                patient.images.pull(image)
    except APIError as error:
        raise UserError(
            f"image {image}: the Docker engine does not have it, and cannot pull it "
            f"({explain(error)}); build it from the Dockerfile of its step, or name another by "
            "--images FILE"
        ) from error


def check_network(client: Any, network: str) -> None:
    """See that a network is there.

    Raises:
        UserError: it is not.
    """
    from docker.errors import NotFound, NullResource

    if network in _BUILT_IN:
        return
    try:
        if network.startswith(_OF_CONTAINER):
            client.containers.get(network.removeprefix(_OF_CONTAINER))
        else:
            client.networks.get(network)
    except (NotFound, NullResource) as error:
        raise UserError(
            f"--network {network}: the Docker engine has no such network; docker network ls lists "
            "those that it has"
        ) from error


def _unreachable(error: Exception) -> UserError | StepFailed:
    where = os.environ.get("DOCKER_HOST") or _DEFAULT
    cause = _cause(error)
    if isinstance(cause, PermissionError):
        return UserError(
            f"you may not use the Docker engine at {where}; become a member of the group that owns "
            "its socket (docker), or set DOCKER_HOST to an engine of your own"
        )
    if cause is None:  # nothing was tried
        return UserError(f"DOCKER_HOST={where}: {explain(error)}")
    return StepFailed(
        f"no Docker engine answers at {where} ({explain(cause)}); start it, or set DOCKER_HOST"
    )


def _cause(error: BaseException) -> OSError | None:
    """The system's error inside of those that libraries made of it."""
    inner = [part for part in error.args if isinstance(part, BaseException)]
    for part in (*inner, error.__cause__, error.__context__, getattr(error, "reason", None)):
        if isinstance(part, BaseException) and (found := _cause(part)):
            return found
    return error if isinstance(error, OSError) and error.errno is not None else None
