"""``kubedistill status``: a model's champion, its figures, and how it got there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.markup import escape
from rich.table import Table

from components.shared.formatting import integer, latency, percent, size
from components.shared.recipe import RegistrySpec
from pipelines.cli.console import console, plain_table, print_json, say
from pipelines.cli.registries import as_command_failures

if TYPE_CHECKING:
    from components.registration.status import Figures, Status, VersionStatus

_Number = TypeVar("_Number", int, float)
_RUN_LENGTH = 8
"""Of a run's id in the table, where those of Kubeflow are too long; ``--json`` has all of it."""


def show_status(registry: RegistrySpec, as_json: bool) -> int:
    """Print the state of a registered model.

    Raises:
        UserError: there is no such model.
        StepFailed: MLflow cannot be reached.
    """
    from components.registration.status import read_status

    with as_command_failures():
        status = read_status(registry, "")
    if as_json:
        print_json(status.model_dump(mode="json"))
        return 0
    _show(status)
    return 0


def _show(status: "Status") -> None:
    console.print(f"[bold]{status.model}[/] at {escape(status.tracking_uri)}", soft_wrap=True)
    if status.champion is None:
        say(f"no version has the alias {status.alias}")
    else:
        _show_champion(status.champion, status.alias)
        if status.figures is not None:
            _show_figures(status.figures)
    if status.challenger is not None:
        _show_challenger(status.challenger, status.model, status.alias)
    if status.former is not None:
        say(f"former champion: version {status.former.version}")
    for note in status.notes:
        say(note, style="yellow")
    console.print()
    console.print(_versions(status.versions))


def _show_challenger(challenger: "VersionStatus", model: str, alias: str) -> None:
    from components.registration.hints import command

    name = ", ".join(challenger.aliases)
    console.print(f"[bold yellow]@{name}[/] is version {challenger.version}: it waits for approval")
    if challenger.shadow:
        say(f"  on fresh rows: {challenger.shadow}")
    reject = command("reject", model, alias, "--reason", "TEXT")
    say(f"  {command('promote', model, alias)}, or {reject}")


def _show_champion(champion: "VersionStatus", alias: str) -> None:
    console.print(f"[bold green]@{alias}[/] is version {champion.version}")
    origin = _origin(champion)
    if origin:
        say(f"  {origin}")
    for name, digest in (
        ("data", champion.dataset_digest),
        ("teacher", champion.teacher_digest),
        ("student", champion.student_digest),
    ):
        if digest:
            say(f"  {name} {digest[:12]}")


def _origin(champion: "VersionStatus") -> str:
    """How it came to be the champion, as far as it is known: another tool leaves no trace."""
    parts = []
    if champion.took_over_from:
        parts.append(f"took over from version {champion.took_over_from}")
    elif champion.promoted_at is not None:
        parts.append("the first champion")
    if champion.promoted_at is not None:
        parts.append(f"promoted {champion.promoted_at:%Y-%m-%d %H:%M} UTC")
    if champion.run_id:
        parts.append(f"by run {champion.run_id}")
    return ", ".join(parts)


def _show_figures(figures: "Figures") -> None:
    parts = [
        _figure("accuracy", figures.accuracy, percent),
        _figure("retention", figures.retention, percent),
        _figure("gap recovered", figures.gap_recovered, lambda share: percent(share, 0)),
        _figure("p95", figures.latency_p95_ms, latency),
        _figure("parameters", figures.parameters, integer),
        _figure("size", figures.size_bytes, size),
    ]
    say("  " + ", ".join(part for part in parts if part))


def _figure(name: str, value: _Number | None, form: Callable[[_Number], str]) -> str:
    return "" if value is None else f"{name} {form(value)}"


def _versions(versions: "list[VersionStatus]") -> Table:
    table = plain_table("version", "state", "aliases", "registered (UTC)", "promoted (UTC)", "run")
    for version in versions:
        promoted = version.promoted_at
        table.add_row(
            version.version,
            version.state or "",
            ", ".join(version.aliases),
            f"{version.registered_at:%Y-%m-%d %H:%M}",
            f"{promoted:%Y-%m-%d %H:%M}" if promoted else "",
            (version.run_id or "")[:_RUN_LENGTH],
        )
    return table
