"""``kubedistill compare``: methods of distillation on one's own data, over seeds."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from components.shared.files import write_atomically
from components.shared.formatting import counted, percent
from components.shared.recipe import Recipe
from pipelines.cli.console import choose_tracking_uri, console, plain_table, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.progress import Listener, describe
from pipelines.comparing.methods import has_own_splits, parse_methods, seeds_of
from pipelines.comparing.records import (
    COMPARISON,
    PAGE,
    TABLE,
    LeftOut,
    Lesson,
    MethodComparison,
    Trial,
)
from pipelines.comparing.table import why_left_out
from pipelines.output_folder import exclusive

if TYPE_CHECKING:
    from pipelines.comparing.running import Task


def compare_methods(recipe: Recipe, methods: str, count: int, output: Path, as_json: bool) -> int:
    """Compare methods, write what was found, and show it.

    Args:
        recipe: data, teacher and student.
        methods: names, separated by commas.
        count: number of seeds, from the recipe's on.
        output: folder for everything; what an earlier comparison left there is not done again.
        as_json: print ``comparison.json`` on standard output.

    Raises:
        UserError: a method is not known, none fits the data, or the recipe or the data are wrong.
    """
    names, seeds = parse_methods(methods), seeds_of(recipe, count)
    choose_tracking_uri(None)  # of a teacher that is in MLflow
    with exclusive(output, (COMPARISON, TABLE, PAGE)):
        console.print(
            f"[bold]{escape(recipe.name)}[/] {', '.join(names)} on {counted(count, 'seed')}"
        )
        from pipelines.comparing.running import run_comparison, tasks_of

        with _followed(tasks_of(seeds, names)) as watcher:
            ran = run_comparison(recipe, names, seeds, output.resolve(), watcher)
        from pipelines.comparing.page import render_page
        from pipelines.comparing.results import compared
        from pipelines.comparing.table import as_table

        found = compared(
            recipe.name,
            recipe.data.uri,
            has_own_splits(recipe),
            ran.methods,
            ran.trials,
            datetime.now(UTC),
            ran.left_out,
        )
        text = found.model_dump_json(indent=2) + "\n"
        write_atomically(output / PAGE, render_page(found))
        write_atomically(output / TABLE, as_table(found))
        write_atomically(output / COMPARISON, text)
    if as_json:
        sys.stdout.write(text)
    _show(found)
    for name in (PAGE, TABLE, COMPARISON):
        say(str(output / name))
    return ExitStatus.DONE


def seconds_left(tasks: Sequence["Task"], spent: Sequence[tuple["Task", float]]) -> float | None:
    """Time that the tasks are likely to take, by those of the same kind that were done.

    Args:
        tasks: that are left.
        spent: tasks that were done now, with their seconds.

    Returns:
        Null before the first one was done.
    """
    if not spent:
        return None
    every = fmean(seconds for _, seconds in spent)

    def expected(task: "Task") -> float:
        alike = [seconds for done, seconds in spent if done.method == task.method]
        return fmean(alike) if alike else every

    return sum(map(expected, tasks))


class _Followed:
    """Says what is done, how fast it goes, and how long it will take."""

    def __init__(self, tasks: Sequence["Task"], progress: Progress | None) -> None:
        self._left = list(tasks)
        self._total = len(tasks)
        self._spent: list[tuple[Task, float]] = []
        self._started = time.monotonic()
        self._progress = progress
        self._bar = progress.add_task("starting", total=len(tasks), detail="") if progress else None

    def begins(self, task: "Task") -> Listener:
        if self._progress is None or self._bar is None:
            return lambda _: None
        progress, bar, name = self._progress, self._bar, _name(task)
        progress.update(bar, description=name)

        def listener(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                progress.update(bar, detail=describe(event))

        return listener

    def ends(self, task: "Task", record: Lesson | Trial, found: bool) -> None:
        self._left.remove(task)
        if not found:
            self._spent.append((task, record.seconds))
        done = self._total - len(self._left)
        parts = [f"{done}/{self._total} {_name(task)}: {_outcome(record)}"]
        if found:
            parts.append("done before")
        else:
            parts += [f"{record.seconds:.0f} s", self._rate()]
        say(", ".join(part for part in parts if part))
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, completed=done, detail=self._rate())

    def refuses(self, refused: LeftOut) -> None:
        self._left = [task for task in self._left if task.method != refused.method]
        say(f"seed {refused.seed}, {why_left_out(refused)}")

    def _rate(self) -> str:
        left = seconds_left(self._left, self._spent)
        if left is None or not self._left:
            return ""
        minutes = (time.monotonic() - self._started) / 60
        return f"{len(self._spent) / minutes:.1f} a minute, {_time(left)} left"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _name(task: "Task") -> str:
    return f"seed {task.seed}, {task.method or 'teacher and baselines'}"


def _outcome(record: Lesson | Trial) -> str:
    if isinstance(record, Lesson):
        return "ready"
    outcome = percent(record.accuracy("student"))
    if record.gap_recovered is not None:
        outcome += f", {percent(record.gap_recovered, 0)} of the gap"
    return outcome


@contextmanager
def _followed(tasks: Sequence["Task"]) -> Iterator[_Followed]:
    if not console.is_terminal:
        yield _Followed(tasks, None)
        return
    with Progress(
        TextColumn("  {task.description:<28}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=console,
        transient=True,
    ) as progress:
        yield _Followed(tasks, progress)


def _show(found: MethodComparison) -> None:
    from pipelines.comparing.table import cells

    table = plain_table("method")
    for heading in ("accuracy", "gap recovered", "over labels alone", "agreement"):
        table.add_column(heading, justify="right")
    for one in found.contenders:
        table.add_row(*cells(one))
    console.print()
    console.print(table)
    console.print()
    for sentence in [*found.sentences, *map(why_left_out, found.left_out)]:
        say(sentence)
