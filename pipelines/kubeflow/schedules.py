"""Recurring runs of recipes: found, planned and replaced.

A recurring run cannot be changed, so another one takes its place. Its successor is made switched
off, so that whatever Kubeflow does not accept leaves the present one as it was. Then the present
one is switched off, the successor on, and at last the present one is deleted. Two never fire at
once; and while an old one is still there, the replacement is not at its end, and whoever is asked
to schedule the recipe again takes it up where it was left.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.shared.errors import StepFailed
from pipelines.kubeflow.connecting import Kubeflow, equals
from pipelines.kubeflow.failures import Missing, Refused, Unanswered
from pipelines.kubeflow.order import Order
from pipelines.kubeflow.publishing import Published, experiment_id, publish

_KEY = re.compile(r"^Key: ([0-9a-f]+), to be (on|off), after (.+)\.$", re.MULTILINE)
_VERSION = re.compile(r"^Version: (\w+)\.$", re.MULTILINE)


@dataclass(frozen=True)
class Schedule:
    """A recurring run that was made by this program."""

    id: str
    recipe: str
    cron: str
    enabled: bool
    key: str
    to_be_on: bool
    """Whether it was to be switched on once it had taken over."""
    after: frozenset[str]
    """The recurring runs that it takes over from."""
    version: str
    """Of the pipeline."""
    created_at: datetime


@dataclass(frozen=True)
class Plan:
    """What leads from the recurring runs of a recipe to the one that is wanted."""

    keep: Schedule | None
    """The one that is wanted, where it is there."""
    on: bool
    """Whether the wanted one is to fire."""
    switch_off: Sequence[Schedule]
    delete: Sequence[Schedule]


@dataclass(frozen=True)
class Done:
    """What became of a request."""

    id: str
    cron: str
    version: str
    on: bool
    changed: bool
    replaced: bool


def plan(existing: Sequence[Schedule], key: str) -> Plan:
    """How to get from ``existing`` to the one with ``key``.

    One that was paused by a person stays so; one that a crash left switched off, beside another,
    is what its maker wanted it to be.
    """
    same = sorted((s for s in existing if s.key == key), key=_age)
    keep = same[0] if same else None
    others = [schedule for schedule in existing if schedule is not keep]
    unfinished = len(existing) > 1 and current(existing).to_be_on
    on = not existing or unfinished or any(schedule.enabled for schedule in existing)
    return Plan(
        keep=keep,
        on=on,
        switch_off=[schedule for schedule in others if schedule.enabled],
        delete=others,
    )


def current(schedules: Sequence[Schedule]) -> Schedule:
    """Of the recurring runs of one recipe, the one that counts: the latest."""
    replaced = frozenset[str]().union(*(schedule.after for schedule in schedules))
    return max(schedules, key=lambda schedule: (schedule.id not in replaced, _age(schedule)))


def set_schedule(kubeflow: Kubeflow, order: Order, cron: str) -> Done:
    """Have a recipe run at the times of ``cron``, and at no others.

    Args:
        kubeflow: where.
        order: what is to be run; its marks hold the times.
        cron: six fields.

    Raises:
        UserError: Kubeflow does not accept it; what was scheduled before still is.
        Unanswered: Kubeflow is out of reach.
    """
    published = publish(kubeflow, order.recipe.name, order.compiled, _about(order))
    experiment = experiment_id(kubeflow, order.experiment)
    planned = plan(schedules_of(kubeflow, order.recipe.name), order.key)
    if planned.keep is not None:
        kept, changed = planned.keep, False
    else:

        def find() -> Schedule | None:
            found = schedules_of(kubeflow, order.recipe.name)
            return plan(found, order.key).keep

        def create() -> Schedule:
            body = _body(order, cron, published, experiment, planned)
            made = kubeflow.once(
                kubeflow.recurring_runs.recurring_run_service_create_recurring_run, body
            )
            return _schedule(made) or _unreadable(made)

        kept, changed = kubeflow.create_once(find, create)
    if planned.switch_off or (planned.on and not kept.enabled):
        _switch_over(kubeflow, kept, planned)
        changed = True
    for old in planned.delete:
        delete(kubeflow, old)
    _settle_race(kubeflow, kept)
    return Done(
        id=kept.id,
        cron=cron,
        version=published.version,
        on=planned.on,
        changed=changed or bool(planned.delete),
        replaced=bool(planned.delete),
    )


def _switch_over(kubeflow: Kubeflow, new: Schedule, planned: Plan) -> None:
    try:
        for old in planned.switch_off:
            _switch_if_there(kubeflow, old, on=False)
        if planned.on and not new.enabled:
            switch(kubeflow, new, on=True)
    except Refused:
        for old in planned.switch_off:
            _switch_if_there(kubeflow, old, on=True)
        raise
    except Unanswered as error:
        # It may have been carried out nevertheless, so that the others have to stay as they are.
        raise Unanswered(
            f"{error}. Until the same command is given again, {new.recipe} may not be run at all"
        ) from error


def _switch_if_there(kubeflow: Kubeflow, old: Schedule, *, on: bool) -> None:
    """What somebody has deleted meanwhile does not fire either."""
    with suppress(Missing):
        switch(kubeflow, old, on=on)


def _settle_race(kubeflow: Kubeflow, mine: Schedule) -> None:
    """Where somebody else scheduled the recipe at the same moment, the later one stays."""
    together = schedules_of(kubeflow, mine.recipe)
    others = [schedule for schedule in together if schedule.id != mine.id]
    if not others:
        return
    if current(together).id != mine.id:
        delete(kubeflow, mine)
        raise StepFailed(
            f"somebody else scheduled {mine.recipe} at the same moment, and theirs stays; see "
            "kubedistill schedule list"
        )
    for other in others:
        delete(kubeflow, other)


def all_schedules(kubeflow: Kubeflow) -> list[Schedule]:
    """Every recurring run that this program made, by recipe and age."""
    return sorted(_list(kubeflow), key=lambda schedule: (schedule.recipe, _age(schedule)))


def schedules_of(kubeflow: Kubeflow, recipe: str) -> list[Schedule]:
    """Those of a recipe: one, or more where a replacement is not at its end."""
    return _list(kubeflow, filter=equals("display_name", recipe))


def switch(kubeflow: Kubeflow, schedule: Schedule, *, on: bool) -> None:
    """Let a recurring run fire, or keep it from it."""
    api = kubeflow.recurring_runs
    method = (
        api.recurring_run_service_enable_recurring_run
        if on
        else api.recurring_run_service_disable_recurring_run
    )
    kubeflow.ask(method, schedule.id)


def delete(kubeflow: Kubeflow, schedule: Schedule) -> None:
    """Remove a recurring run, and let its run that is under way go on.

    Kubernetes would delete that with it otherwise.
    """
    method = kubeflow.recurring_runs.recurring_run_service_delete_recurring_run
    try:
        kubeflow.ask(method, schedule.id, propagation_policy="ORPHAN")
    except Missing:
        return


def _age(schedule: Schedule) -> tuple[datetime, str]:
    return schedule.created_at, schedule.id


def _list(kubeflow: Kubeflow, **wanted: str) -> list[Schedule]:
    where = {"namespace": kubeflow.namespace} if kubeflow.namespace else {}
    listed = kubeflow.all_pages(
        kubeflow.recurring_runs.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        **wanted,
        **where,
    )
    return [schedule for schedule in map(_schedule, listed) if schedule is not None]


def _schedule(found: Any) -> Schedule | None:
    """A recurring run as it was described when it was made; null for one of somebody else."""
    described = found.description or ""
    key, version = _KEY.search(described), _VERSION.search(described)
    cron = found.trigger.cron_schedule if found.trigger else None
    if key is None or version is None or cron is None:
        return None
    return Schedule(
        id=found.recurring_run_id,
        recipe=found.display_name,
        cron=cron.cron,
        enabled=found.status == "ENABLED",
        key=key[1],
        to_be_on=key[2] == "on",
        after=frozenset(key[3].split(", ")),
        version=version[1],
        created_at=found.created_at,
    )


def _unreadable(made: Any) -> Schedule:
    raise Refused(
        f"Kubeflow made the recurring run {made.recurring_run_id} without its description, so that "
        "it would not be found again; delete it there"
    )


def _about(order: Order) -> str:
    commit = f" at commit {order.git_commit[:12]}" if order.git_commit else ""
    return f"Recipe {order.recipe.name}{commit}, scheduled by kubedistill."


def _body(order: Order, cron: str, published: Published, experiment: str, planned: Plan) -> Any:
    """A request for a recurring run, which does not fire while there is one to take over from."""
    from kfp_server_api import (  # type: ignore[import-untyped]
        RecurringRunMode,
        V2beta1CronSchedule,
        V2beta1RecurringRun,
        V2beta1RuntimeConfig,
        V2beta1Trigger,
    )

    state = "on" if planned.on else "off"
    before = ", ".join(old.id for old in planned.delete) or "none"
    described = [
        _about(order),
        f"Key: {order.key}, to be {state}, after {before}.",
        f"Version: {published.version}.",
    ]
    fires = planned.on and not planned.delete
    return V2beta1RecurringRun(
        display_name=order.recipe.name,
        description="\n".join(described),
        experiment_id=experiment,
        mode=RecurringRunMode.ENABLE if fires else RecurringRunMode.DISABLE,
        pipeline_version_reference=published.reference,
        runtime_config=V2beta1RuntimeConfig(
            parameters=order.parameters, pipeline_root=order.pipeline_root
        ),
        trigger=V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=cron)),
        max_concurrency="1",
        no_catchup=True,
        service_account=order.service_account,
    )
