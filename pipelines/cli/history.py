"""``kubedistill history``: every move of an alias, and whether the record of them is intact."""

from typing import TYPE_CHECKING

from rich.markup import escape

from components.shared.recipe import RegistrySpec
from pipelines.cli.console import console, plain_table, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.registries import as_command_failures

if TYPE_CHECKING:
    from components.registration.history import History, HistoryMove


def show_history(registry: RegistrySpec, as_json: bool) -> int:
    """Print all moves; the status is 1 where their record is damaged.

    Raises:
        UserError: there is no such model.
        StepFailed: MLflow cannot be reached.
    """
    from components.registration.history import read_history

    with as_command_failures():
        history = read_history(registry)
    if as_json:
        print_json(history.model_dump(mode="json"))
    else:
        _show(history)
    return ExitStatus.DONE if history.fault is None else ExitStatus.BROKEN


def _show(history: "History") -> None:
    title = f"[bold]{escape(history.model)}[/] @{history.alias} at {escape(history.tracking_uri)}"
    console.print(title, soft_wrap=True)
    console.print()
    table = plain_table("", "when (UTC)", "move", "version", "champion", "by", "why")
    for move in history.moves:
        table.add_row(
            str(move.sequence),
            f"{move.at:%Y-%m-%d %H:%M}",
            _action(move),
            move.version or "",
            _champion(move),
            escape(move.by),
            escape(move.reason),
        )
    console.print(table)
    console.print()
    if history.fault is not None:
        say(history.fault, style="bold red")
    elif history.moves:
        console.print(
            f"intact: {len(history.moves)} moves, the last one is {history.moves[-1].digest[:12]}"
        )
    else:
        console.print("no move was made yet")


def _action(move: "HistoryMove") -> str:
    if not move.took_effect:
        return f"{move.action} (no effect)"
    return f"{move.action} (forced)" if move.forced else move.action


def _champion(move: "HistoryMove") -> str:
    if move.champion_before == move.champion_after:
        return move.champion_after or "none"
    return f"{move.champion_before or 'none'} → {move.champion_after or 'none'}"
