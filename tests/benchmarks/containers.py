"""Benchmark row of steps in containers: what a container costs a step."""

from collections.abc import Callable

from components.shared import images
from components.shared.errors import StepFailed, UserError
from pipelines.docker_runner.engine import connected
from tests.benchmarks.results import Result, result

_WITHOUT = "container_overhead_s is left out: "
_NEEDED = (
    images.DATA_VALIDATION,
    images.TRAINING,
    images.SOFT_LABELS,
    images.COMPRESSION,
    images.EVALUATION,
    images.REGISTRATION,
)


def available(report: Callable[[str], None]) -> bool:
    """Whether there is a Docker engine that has the images; if not, it is said what to do."""
    from docker.errors import ImageNotFound

    try:
        with connected() as client:
            for image in _NEEDED:
                client.images.get(image)
    except (UserError, StepFailed) as error:
        report(f"{_WITHOUT}{error}")
        return False
    except ImageNotFound:
        report(f"{_WITHOUT}build {image} first")
        return False
    return True


def container_overhead(seconds_a_step: list[float]) -> Result:
    """The row.

    Args:
        seconds_a_step: of pairs of runs, in containers and in new interpreters, in turn: the
            difference of their overheads, by the number of steps.
    """
    return result(
        "container_overhead_s",
        seconds_a_step,
        "s",
        3.0,
        "what a step takes longer in a container than in a new interpreter, training, labelling "
        "and measuring left out; whole runs of the default recipe, in turn",
    )
