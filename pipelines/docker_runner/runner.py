"""Steps in containers, for a run."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.shared.errors import StepFailed, UserError
from pipelines.docker_runner.engine import bring, check_network, connected
from pipelines.docker_runner.handler import Steps, handled_by
from pipelines.docker_runner.hardening import container_arguments
from pipelines.docker_runner.lifetime import removed_with_this_process
from pipelines.docker_runner.surroundings import Surroundings
from pipelines.following import Follower
from pipelines.step_runners import ReadyRunner

LABEL = "kubedistill.run"
"""Of each container; its value is the run."""
_PYTHON = "_KFP_RUNTIME=true python3 "
_INSTEAD_OF_SHELL = "_KFP_RUNTIME=true exec python3 "


@dataclass(frozen=True)
class Containers:
    """Each step is a container of its image on the Docker engine."""

    surroundings: Surroundings
    say: Callable[[str], None]
    """Is told of what takes long before the first step."""

    @contextmanager
    def ready(self, root: Path, follower: Follower) -> Iterator[ReadyRunner]:
        """See that the engine is there; see that no container outlives the block.

        Raises:
            UserError: the user may not use the engine, or it does not have the network.
            StepFailed: the engine does not answer.
        """
        with connected() as client:
            check_network(client, self.surroundings.network)
        root.mkdir(exist_ok=True)  # or the engine makes it, for root
        name = f"kubedistill-{secrets.token_hex(4)}"
        with removed_with_this_process(f"{LABEL}={name}") as lifeline:
            steps = Steps(name, follower, lifeline)
            with handled_by(steps):
                yield _InContainers(self, steps)


@dataclass(frozen=True)
class _InContainers:
    containers: Containers
    steps: Steps

    def prepare(self, pipeline: str) -> str:
        """Bring the images; have signals reach the interpreter of each step."""
        with connected() as client:
            for image in images_of(pipeline):
                bring(client, image, self.containers.say)
        return exec_interpreter(pipeline)

    def kfp_runner(self) -> Any:
        from kfp import local

        return local.DockerRunner(
            **container_arguments(self.containers.surroundings, {LABEL: self.steps.name})
        )

    def failure(self) -> UserError | StepFailed | None:
        return self.steps.failure

    def import_seconds(self) -> dict[str, float]:
        return {}


def images_of(pipeline: str) -> list[str]:
    """Image references of a compiled pipeline, each once.

    Args:
        pipeline: YAML as KFP's compiler writes it.
    """
    documents = list(yaml.load_all(pipeline, yaml.CSafeLoader))
    return list(dict.fromkeys(container["image"] for container in _containers(documents)))


def exec_interpreter(pipeline: str) -> str:
    """The same compiled pipeline, where the shell of each step becomes its interpreter: a shell
    would keep the signals that a container is stopped with to itself.

    Args:
        pipeline: YAML as KFP's compiler writes it.
    """
    documents = list(yaml.load_all(pipeline, yaml.CSafeLoader))
    for container in _containers(documents):
        container["command"] = [
            part.replace(_PYTHON, _INSTEAD_OF_SHELL) for part in container["command"]
        ]
    text: str = yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False)
    return text


def _containers(documents: list[Any]) -> list[dict[str, Any]]:
    executors = documents[0]["deploymentSpec"]["executors"].values()
    return [executor["container"] for executor in executors]
