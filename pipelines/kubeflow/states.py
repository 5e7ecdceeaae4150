"""What a run's status says: whether it has ended, which steps are where, which one failed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_DRIVER = "-driver"
_IN_WORDS = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "done",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "CANCELING": "being cancelled",
    "CANCELED": "cancelled",
    "PAUSED": "paused",
}


class Step(NamedTuple):
    """A step of a run as Kubeflow tells of it."""

    name: str
    state: str
    message: str
    """Why it failed, where Kubeflow says so; empty otherwise."""


def has_ended(state: str | None) -> bool:
    """Whether a run, or a step, in this state will not go on."""
    return state in _ENDED


def will_go_on(state: str | None) -> bool:
    """Whether a run in this state goes on to an end of its own: nobody cancels it."""
    return not has_ended(state) and state != "CANCELING"


def in_words(state: str | None) -> str:
    """A state as people say it."""
    return _IN_WORDS.get(state or "", "waiting")


def step_names(compiled: Mapping[str, Any]) -> dict[str, str]:
    """Names of the steps of a compiled pipeline, by the names of their tasks.

    Kubeflow tells of many things beside: groups of steps, pods that prepare, the run itself.
    """
    components = compiled["components"]
    groups = [compiled["root"], *components.values()]
    return {
        task: str(spec["taskInfo"]["name"])
        for group in groups
        for task, spec in group.get("dag", {}).get("tasks", {}).items()
        if "executorLabel" in components[spec["componentRef"]["name"]]
    }


def steps_of(run: Any, names: Mapping[str, str]) -> dict[str, Step]:
    """The steps that have begun, by their identity in the run.

    A pod that could not be prepared for a step counts as the step's failure.

    Args:
        run: as the API returns it.
        names: of the steps, by their tasks.
    """
    details = run.run_details.task_details if run.run_details else None
    found: dict[str, Step] = {}
    for task in details or []:
        display = task.display_name or ""
        failed_before = display.endswith(_DRIVER) and task.state == "FAILED"
        name = names.get(display.removesuffix(_DRIVER) if failed_before else display)
        if name is not None:
            found[task.task_id or display] = Step(name, task.state or "", _message(task))
    return found


def changes(before: Mapping[str, Step], now: Mapping[str, Step]) -> list[Step]:
    """The steps whose state is another one."""
    return [
        step
        for identity, step in now.items()
        if identity not in before or before[identity].state != step.state
    ]


def failed_steps(steps: Iterable[Step]) -> list[Step]:
    """The steps that failed, each once."""
    failed: dict[str, Step] = {}
    for step in steps:
        if step.state == "FAILED":
            known = failed.get(step.name)
            failed[step.name] = step if known is None or not known.message else known
    return list(failed.values())


def _message(task: Any) -> str:
    """The last thing that was said of an error."""
    errors = [task.error, *(status.error for status in task.state_history or [])]
    said = [" ".join(error.message.split()) for error in errors if error and error.message]
    return said[-1] if said else ""
