"""``kubedistill diff``: what differs between two registered versions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from components.shared.formatting import GAP, MISSING, fraction, latency, percent, points, size
from components.shared.recipe import RegistrySpec
from pipelines.cli.console import console, plain_table, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.registries import as_command_failures

if TYPE_CHECKING:
    from components.registration.comparing import ComparedVersion, FigureDifference, VersionDiff
    from components.shared.results import Interval

_DIGEST_LENGTH = 12
_MOST_CLASSES = 8
_UNITS: dict[str, Callable[[float], str]] = {"share": percent, "ms": latency, "bytes": size}


def show_diff(registry: RegistrySpec, first: str, second: str, as_json: bool) -> int:
    """Print how two versions differ.

    Raises:
        UserError: there is no such model, version or alias, or what its run kept is gone.
        StepFailed: MLflow cannot be reached.
    """
    from components.registration.comparing import compare_versions

    with as_command_failures():
        diff = compare_versions(registry, first, second)
    if as_json:
        print_json(diff.model_dump(mode="json"))
    else:
        _show(diff)
    return ExitStatus.DONE


def _show(diff: "VersionDiff") -> None:
    title = f"[bold]{escape(diff.model)}[/] at {escape(diff.tracking_uri)}"
    console.print(title, soft_wrap=True)
    console.print()
    console.print(_origins(diff))
    console.print()
    for note in diff.notes:
        console.print(note, style=None if diff.comparable else "yellow", markup=False)
    console.print()
    console.print(_figures(diff))
    if diff.paired is not None:
        console.print(
            f"Row by row: version {diff.second.version} alone is right on "
            f"{diff.paired.only_student:,} rows, version {diff.first.version} alone on "
            f"{diff.paired.only_other:,}."
        )
    console.print()
    console.print(_gates(diff))
    console.print()
    if diff.recipe:
        console.print(_recipe(diff))
    else:
        say("The recipes are the same.")


def _table(title: str, diff: "VersionDiff", *further: str) -> Table:
    versions = [f"version {side.version}" for side in (diff.first, diff.second)]
    return plain_table(title, *versions, *further)


def _origins(diff: "VersionDiff") -> Table:
    table = _table("", diff)
    for name, read in _ORIGINS.items():
        values = [read(diff.first), read(diff.second)]
        same = values[0] == values[1] and values[0] != MISSING
        table.add_row(name, escape(values[0]), "[dim]the same[/]" if same else escape(values[1]))
    return table


def _digest(value: str | None) -> str:
    return value[:_DIGEST_LENGTH] if value else MISSING


def _rows(side: "ComparedVersion") -> str:
    return ", ".join(f"{count:,} {split}" for split, count in side.rows.items())


def _classes(side: "ComparedVersion") -> str:
    more = ", …" if len(side.classes) > _MOST_CLASSES else ""
    return f"{len(side.classes)}: {', '.join(side.classes[:_MOST_CLASSES])}{more}"


_ORIGINS: dict[str, Callable[["ComparedVersion"], str]] = {
    "aliases": lambda side: ", ".join(side.aliases) or MISSING,
    "registered": lambda side: f"{side.registered_at:%Y-%m-%d %H:%M:%S} UTC",
    "run": lambda side: side.run_id or MISSING,
    "git commit": lambda side: _digest(side.git_commit),
    "form": lambda side: side.candidate,
    "verdict": lambda side: side.verdict,
    "against champion": lambda side: side.measured_against or "none",
    "data": lambda side: _digest(side.dataset_digest),
    "rows": _rows,
    "classes": _classes,
    "teacher": lambda side: _digest(side.teacher_digest),
    "student": lambda side: _digest(side.student_digest),
}


def _figures(diff: "VersionDiff") -> Table:
    table = _table("figure", diff, "difference")
    for figure in diff.figures:
        table.add_row(
            figure.name.removesuffix("_ms").removesuffix("_bytes").replace("_", " "),
            _value(figure, figure.first) + _bounds(figure, figure.first_interval),
            _value(figure, figure.second) + _bounds(figure, figure.second_interval),
            _difference(figure),
        )
    return table


def _value(figure: "FigureDifference", value: float | None) -> str:
    if value is None:
        return MISSING
    if figure.unit == "number":
        return f"{value:,.0f}" if value.is_integer() else fraction(value)
    return _UNITS[figure.unit](value)


def _bounds(figure: "FigureDifference", interval: "Interval | None") -> str:
    """An interval without its unit, where the value has the same."""
    if interval is None:
        return ""
    texts = [_value(figure, bound) for bound in (interval.lower, interval.upper)]
    units = {text.partition(GAP)[2] for text in texts}
    if len(units) == 1:
        texts = [text.partition(GAP)[0] for text in texts]
    return f" ({' to '.join(texts)})"


def _difference(figure: "FigureDifference") -> str:
    if figure.difference is None:
        return "not comparable" if None not in {figure.first, figure.second} else MISSING
    if figure.difference == 0:
        return "none"
    colour = "green" if (figure.difference > 0) == (figure.better == "higher") else "red"
    if figure.unit == "share":
        text = points(figure.difference)
    else:
        sign = "+" if figure.difference > 0 else "\u2212"
        text = f"{sign}{_value(figure, abs(figure.difference))}"
    if not any(digit in text for digit in "123456789"):
        return "about 0"
    return f"[{colour}]{text}[/]"


def _gates(diff: "VersionDiff") -> Table:
    table = _table("gate", diff)
    for gate in diff.gates:
        table.add_row(
            gate.gate.removeprefix("gates."),
            _passed(gate.first_passed),
            _passed(gate.second_passed),
        )
    return table


def _passed(passed: bool | None) -> str:
    if passed is None:
        return "not judged"
    return "[green]passed[/]" if passed else "[red]failed[/]"


def _recipe(diff: "VersionDiff") -> Table:
    table = _table("recipe", diff)
    for change in diff.recipe:
        table.add_row(escape(change.path), escape(change.first), escape(change.second))
    return table
