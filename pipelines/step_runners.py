"""What runs the steps of a local run: the interface, and processes of this machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from components.shared.errors import StepFailed, UserError
from pipelines.following import Follower
from pipelines.warm import WarmInterpreters, warm_interpreters


class ReadyRunner(Protocol):
    """Runs steps while its block lasts."""

    def prepare(self, pipeline: str) -> str:
        """The compiled pipeline as this runner runs it; all that it needs is there.

        Raises:
            UserError: something is missing that the user has to bring.
            StepFailed: something broke.
        """

    def kfp_runner(self) -> Any:
        """For ``kfp.local.init``."""

    def failure(self) -> UserError | StepFailed | None:
        """Why a step failed that did not say so itself."""

    def import_seconds(self) -> dict[str, float]:
        """Seconds that each image's warm interpreter spent on imports, beside the steps."""


class StepRunner(Protocol):
    """What a run chooses between."""

    def ready(self, root: Path, follower: Follower) -> AbstractContextManager[ReadyRunner]:
        """Make ready to run steps, for the block.

        Args:
            root: where KFP keeps the outputs of steps.
            follower: has seen all that steps have printed.
        """


@dataclass(frozen=True)
class Subprocesses:
    """Each step is a process of this machine."""

    preload: Mapping[str, Sequence[str]]
    """What the warm interpreter of each image imports; an image that is not named gets a new
    interpreter for each step."""

    @contextmanager
    def ready(self, root: Path, follower: Follower) -> Iterator[ReadyRunner]:  # noqa: ARG002
        """Start the warm interpreters; they import while the pipeline is compiled."""
        with warm_interpreters(self.preload) as warm:
            yield _Processes(warm)

    @contextmanager
    def kept_warm(self) -> Iterator[StepRunner]:
        """The same for several runs, one after the other, whose interpreters import once."""
        with warm_interpreters(self.preload) as warm:
            yield _KeptWarm(_Processes(warm))


@dataclass(frozen=True)
class _KeptWarm:
    processes: ReadyRunner

    @contextmanager
    def ready(self, root: Path, follower: Follower) -> Iterator[ReadyRunner]:  # noqa: ARG002
        yield self.processes


@dataclass(frozen=True)
class _Processes:
    warm: WarmInterpreters

    def prepare(self, pipeline: str) -> str:
        return self.warm.rewrite(pipeline)

    def kfp_runner(self) -> Any:
        from kfp import local

        return local.SubprocessRunner(use_venv=False)

    def failure(self) -> None:
        return None

    def import_seconds(self) -> dict[str, float]:
        return self.warm.import_seconds()
