"""Following a run to its end, over outages of Kubeflow."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.shared.errors import StepFailed
from pipelines.kubeflow.connecting import Kubeflow
from pipelines.kubeflow.failures import Missing, Unanswered
from pipelines.kubeflow.states import Step, changes, failed_steps, has_ended, steps_of

_FIRST_POLL_S = 1.0
_LONGEST_POLL_S = 15.0
_SLOWER = 1.3


class NotFinished(StepFailed):
    """The run was not at its end when waiting was; it goes on."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    state: str
    failed: list[Step]
    message: str
    """What Kubeflow says of the run as a whole; empty where it says nothing."""
    pipeline_root: str | None


@dataclass(frozen=True)
class Listener:
    """Is told what happens while a run is followed."""

    stepped: Callable[[Step], None]
    lost: Callable[[str], None]
    """Kubeflow is out of reach; with the reason."""
    back: Callable[[], None]


def follow_run(
    kubeflow: Kubeflow,
    run_id: str,
    names: Mapping[str, str],
    listener: Listener,
    *,
    timeout_s: float | None,
    patience_s: float,
) -> Ended:
    """Wait until a run has ended.

    Args:
        kubeflow: where it runs.
        run_id: of the run.
        names: of its steps, by their tasks.
        listener: is told of changes.
        timeout_s: how long at most; null for as long as it takes.
        patience_s: how long Kubeflow may be out of reach.

    Raises:
        NotFinished: it has not ended in time.
        StepFailed: it was deleted, or Kubeflow was out of reach for too long.
    """
    started = time.monotonic()
    heard = started
    poll, seen, lost = _FIRST_POLL_S, dict[str, Step](), False
    while True:
        try:
            run = kubeflow.once(kubeflow.runs.run_service_get_run, run_id)
        except Missing as error:
            raise StepFailed(f"run {run_id} was deleted while it was followed") from error
        except Unanswered as error:
            if time.monotonic() - heard > patience_s:
                raise NotFinished(
                    f"{error}. It has been so for {patience_s:.0f} s (--patience); the run may go "
                    "on"
                ) from error
            if not lost:
                listener.lost(str(error))
            lost = True
        else:
            heard = time.monotonic()
            if lost:
                listener.back()
            lost = False
            now = steps_of(run, names)
            for step in changes(seen, now):
                listener.stepped(step)
                poll = _FIRST_POLL_S
            seen = now
            if has_ended(run.state):
                return _ended(run, seen)
        left = None if timeout_s is None else started + timeout_s - time.monotonic()
        if left is not None and left <= 0:
            raise NotFinished(f"the run has not ended within {timeout_s:.0f} s (--timeout)")
        time.sleep(poll if left is None else min(poll, left))
        poll = min(_SLOWER * poll, _LONGEST_POLL_S)


def _ended(run: Any, steps: Mapping[str, Step]) -> Ended:
    histories = [status.error for status in run.state_history or []]
    said = [error.message for error in [run.error, *histories] if error and error.message]
    root = run.runtime_config.pipeline_root if run.runtime_config else None
    return Ended(run.state, failed_steps(steps.values()), said[-1] if said else "", root or None)
