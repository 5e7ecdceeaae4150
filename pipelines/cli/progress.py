"""Progress of a run: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from pipelines.cli.console import console, say

Listener = Callable[[dict[str, Any]], None]

_PLAIN_INTERVAL = 5.0
"""Least seconds between two progress lines where there is no terminal."""


@contextmanager
def follow(title: str) -> Iterator[Listener]:
    """Yield a listener that shows each step's progress until the block ends.

    Args:
        title: what is run, in Rich's markup.
    """
    console.print(title)
    if not console.is_terminal:
        yield _PlainLines()
        return
    with Progress(
        TextColumn("  {task.description:<22}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=console,
        transient=True,
    ) as progress:
        yield _LiveBar(progress)


class _PlainLines:
    def __init__(self) -> None:
        self._last = 0.0
        self._started: dict[str, float] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        step, now = event.get("step", ""), event["time"]
        match event["event"]:
            case "started":
                self._started[step] = self._last = now
                _plain(f"{step}: started")
            case "progress" if now - self._last >= _PLAIN_INTERVAL:
                self._last = now
                _plain(f"{step}: {describe(event)}")
            case "finished":
                _plain(f"{step}: done in {now - self._started[step]:.1f} s")


class _LiveBar:
    """A bar for the step that runs, and a line for each that has ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = time.time()
        self._task = progress.add_task("starting", total=None, detail="")

    def __call__(self, event: dict[str, Any]) -> None:
        step = event.get("step", "")
        match event["event"]:
            case "started":
                self._started = event["time"]
                self._progress.reset(self._task, description=step, total=None, detail="")
            case "progress":
                self._progress.update(
                    self._task,
                    total=event["total"],
                    completed=event["done"],
                    detail=describe(event),
                )
            case "finished":
                seconds = event["time"] - self._started
                self._progress.console.print(f"[green]✓[/] {step:<22} {seconds:5.1f} s")
                self._progress.reset(self._task, description="starting", total=None, detail="")


def describe(event: dict[str, Any]) -> str:
    """One line for a ``progress`` event: how far, loss, rate, time left."""
    parts = [event["activity"], f"{event['done']:,}/{event['total']:,} {event['unit']}"]
    if "loss" in event:
        parts.append(f"loss {event['loss']:.4f}")
    parts += [f"{event['rate']:,.0f}/s", f"{event['seconds_left']:.0f} s left"]
    return ", ".join(parts)


def _plain(line: str) -> None:
    say(line)
