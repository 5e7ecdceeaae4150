"""``kubedistill schedule``: recipes that Kubeflow runs at given times."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from components.shared.errors import UserError
from pipelines.cli.console import console, plain_table, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.kubeflow.connecting import Kubeflow, connect
from pipelines.kubeflow.order import Order
from pipelines.kubeflow.schedules import (
    Schedule,
    all_schedules,
    current,
    delete,
    schedules_of,
    set_schedule,
    switch,
)

_TIME_ZONE = (
    "times are in the time zone of the installation (CRON_SCHEDULE_TIMEZONE of its scheduled "
    "workflow controller), which is UTC by default"
)


def schedule_recipe(
    order: Order, cron: str, given: str, endpoint: str | None, namespace: str | None, as_json: bool
) -> int:
    """Make or replace the schedule of a recipe, and say what was done.

    Args:
        order: what is to be run.
        cron: six fields.
        given: what the user wrote.
        endpoint: of Kubeflow; null for the environment's.
        namespace: where the runs are to be.
        as_json: print JSON.
    """
    name = order.recipe.name
    kubeflow = connect(endpoint, namespace)
    try:
        done = set_schedule(kubeflow, order, cron)
    except KeyboardInterrupt:
        say(f"until the same command is given again, {name} may not be run at all", style="yellow")
        raise
    if as_json:
        print_json(
            {
                "recipe": name,
                "recurring_run_id": done.id,
                "cron": done.cron,
                "pipeline_version": done.version,
                "state": "on" if done.on else "paused",
                "changed": done.changed,
                "replaced": done.replaced,
            }
        )
    if not done.changed:
        say(f"{name} is scheduled so already: {done.cron}, pipeline version {done.version}")
    else:
        word = "replaced the schedule of" if done.replaced else "scheduled"
        meant = "" if given.split() == cron.split() else f", which Kubeflow writes as {cron}"
        say(f"{word} {name}: {given}{meant}, pipeline version {done.version}")
        say(_TIME_ZONE)
    if not done.on:
        say(f"it is paused; kubedistill schedule resume {name}", style="yellow")
    return ExitStatus.DONE


def list_schedules(endpoint: str | None, namespace: str | None, as_json: bool) -> int:
    """Print the schedules of all recipes."""
    found = all_schedules(connect(endpoint, namespace))
    recipes = [list(group) for _, group in groupby(found, key=lambda schedule: schedule.recipe)]
    if as_json:
        print_json({"schedules": [_as_json(schedules) for schedules in recipes]})
        return ExitStatus.DONE
    if not found:
        say("no recipe is scheduled; kubedistill schedule RECIPE --cron '0 3 * * 1'")
        return ExitStatus.DONE
    table = plain_table("recipe", "cron (with seconds)", "state", "version", "since (UTC)")
    for schedules in recipes:
        one = current(schedules)
        table.add_row(
            one.recipe, one.cron, _state(schedules), one.version, f"{one.created_at:%Y-%m-%d %H:%M}"
        )
    console.print(table)
    for schedules in recipes:
        if len(schedules) > 1:
            say(
                f"a replacement of the schedule of {schedules[0].recipe} was interrupted; "
                "schedule it again, or pause, resume or delete it",
                style="yellow",
            )
    return ExitStatus.DONE


def pause(recipe: str, endpoint: str | None, namespace: str | None, as_json: bool) -> int:
    """Keep a recipe from being run at its times."""

    def change(kubeflow: Kubeflow, schedules: Sequence[Schedule]) -> None:
        for schedule in schedules:
            switch(kubeflow, schedule, on=False)
        _only_current(kubeflow, schedules)

    return _change(recipe, endpoint, namespace, as_json, "paused", change)


def resume(recipe: str, endpoint: str | None, namespace: str | None, as_json: bool) -> int:
    """Let a recipe be run at its times again; those that were missed are not made up for."""

    def change(kubeflow: Kubeflow, schedules: Sequence[Schedule]) -> None:
        one = current(schedules)
        for schedule in schedules:
            if schedule is not one:
                switch(kubeflow, schedule, on=False)
        switch(kubeflow, one, on=True)
        _only_current(kubeflow, schedules)

    return _change(recipe, endpoint, namespace, as_json, "on", change)


def remove(recipe: str, endpoint: str | None, namespace: str | None, as_json: bool) -> int:
    """Delete the schedule of a recipe; its runs stay, and one that is under way goes on."""

    def change(kubeflow: Kubeflow, schedules: Sequence[Schedule]) -> None:
        for schedule in schedules:
            delete(kubeflow, schedule)

    return _change(recipe, endpoint, namespace, as_json, "deleted", change)


def _change(
    recipe: str,
    endpoint: str | None,
    namespace: str | None,
    as_json: bool,
    becomes: str,
    change: Callable[[Kubeflow, Sequence[Schedule]], None],
) -> int:
    kubeflow = connect(endpoint, namespace)
    schedules = schedules_of(kubeflow, recipe)
    if not schedules:
        known = sorted({schedule.recipe for schedule in all_schedules(kubeflow)})
        hint = f"scheduled are {', '.join(known)}" if known else "no recipe is"
        raise UserError(f"the recipe {recipe!r} is not scheduled; {hint}")
    change(kubeflow, schedules)
    if as_json:
        print_json({"recipe": recipe, "cron": current(schedules).cron, "state": becomes})
    say(f"the schedule of {recipe} ({current(schedules).cron}) is {becomes} now")
    return ExitStatus.DONE


def _only_current(kubeflow: Kubeflow, schedules: Sequence[Schedule]) -> None:
    """Bring a replacement that was interrupted to its end."""
    one = current(schedules)
    for schedule in schedules:
        if schedule is not one:
            delete(kubeflow, schedule)


def _state(schedules: Sequence[Schedule]) -> str:
    return "on" if any(schedule.enabled for schedule in schedules) else "paused"


def _as_json(schedules: Sequence[Schedule]) -> dict[str, Any]:
    one = current(schedules)
    return {
        "recipe": one.recipe,
        "recurring_run_id": one.id,
        "cron": one.cron,
        "state": _state(schedules),
        "pipeline_version": one.version,
        "created_at": one.created_at.isoformat(),
        "interrupted": len(schedules) > 1,
    }
