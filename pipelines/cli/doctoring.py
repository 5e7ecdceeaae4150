"""``kubedistill doctor``: a table of what was found, and what to do about it."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict

from components.shared.recipe import Recipe
from pipelines.cli.console import console, plain_table, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.doctor.examining import Surroundings, examine, standpoint
from pipelines.doctor.findings import Finding, any_failed
from pipelines.doctor.from_recipe import needs_of
from pipelines.doctor.needs import Needs

_MARKS = {"ok": "green", "warning": "yellow", "failed": "bold red", "unchecked": "dim"}


def examine_cluster(recipe: Recipe | None, where: Surroundings, as_json: bool) -> int:
    """Look, show what was found, and end with status 1 where a run would break.

    Args:
        recipe: whose needs are looked for; null for those of any.
        where: what the command line says.
        as_json: print JSON on standard output.

    Raises:
        UserError: an option is wrong.
    """
    # Storage tells of outages as a step's log does; here the finding tells of them.
    with console.status("looking"), contextlib.redirect_stdout(io.StringIO()):
        findings = list(examine(Needs() if recipe is None else needs_of(recipe), where))
    broken = any_failed(findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        print_json({"standpoint": standpoint(), "ready": not broken, "findings": found})
    else:
        say(standpoint())
        (_show_table if console.is_terminal else _show_lines)(findings)
    return ExitStatus.BROKEN if broken else ExitStatus.DONE


def _show_table(findings: Sequence[Finding]) -> None:
    table = plain_table("", "check", "found", "what to do")
    for one in findings:
        mark = f"[{_MARKS[one.status]}]{one.status}[/]"
        table.add_row(mark, *map(_escaped, (one.check, one.said, one.advice)))
    console.print(table)


def _show_lines(findings: Sequence[Finding]) -> None:
    for one in findings:
        say(f"{one.status:<9} {one.check}: {one.said}")
        if one.advice:
            say(f"{'':<9} → {one.advice}")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
