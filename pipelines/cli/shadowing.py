"""``kubedistill shadow``: compare a challenger with the champion on rows that arrived since."""

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from components.evaluation.comparing.policy import Policy
from components.registration.tags import challenger_alias
from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.formatting import integer, latency, percent, size
from components.shared.recipe import RegistrySpec
from components.shared.results import COMPARISON, COMPARISON_PAGE, ComparedModel, Comparison
from pipelines.cli.console import console, plain_table, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.progress import follow
from pipelines.output_folder import exclusive


@dataclass(frozen=True)
class ShadowOptions:
    """What is compared, on which rows, and how it is judged."""

    registry: RegistrySpec
    """Names the model, and the alias of the champion."""
    challenger: str | None
    """Number or alias of a version; by default the alias of the one that waits for approval."""
    data: str
    id_column: str | None
    label_column: str | None
    time_column: str | None
    since: str | None
    keep_known: bool
    policy: Policy

    def arguments(self) -> dict[str, object]:
        """Of the pipeline.

        Raises:
            UserError: ``since`` is not a time.
        """
        return {
            "model": self.registry.model,
            "data_uri": _absolute(self.data),
            "champion": self.registry.alias,
            "challenger": self.challenger or challenger_alias(self.registry.alias),
            "id_column": self.id_column or "",
            "label_column": self.label_column or "",
            "time_column": self.time_column or "",
            "since": _checked(self.since),
            "leave_out_known": not self.keep_known,
            **self.policy.model_dump(mode="json"),
        }


def compare_in_shadow(options: ShadowOptions, output: Path, as_json: bool) -> int:
    """Compare the two, attach the result to the challenger, and say what was found.

    Args:
        options: what is compared.
        output: folder for the results.
        as_json: print ``comparison.json`` on standard output.

    Returns:
        0 where the rows support the challenger. 3 where they speak against it, and where they do
        not settle it: what has not been shown must not let a job go on to promote.
    """
    arguments = options.arguments()
    with exclusive(output, (COMPARISON, COMPARISON_PAGE)):
        title = f"[bold]{escape(options.registry.model)}[/] challenger against champion"
        with follow(title) as listener:
            from pipelines.local_shadow import compare_locally

            done = compare_locally(arguments, output.resolve(), listener)
        write_atomically(output / COMPARISON_PAGE, done.page)
        write_atomically(output / COMPARISON, done.json)
    if as_json:
        sys.stdout.write(done.json + "\n")
    _show(done.comparison)
    for name in (COMPARISON_PAGE, COMPARISON):
        say(str(output / name))
    supported = done.comparison.recommendation == "supports"
    return ExitStatus.DONE if supported else ExitStatus.REJECTED


def _absolute(data: str) -> str:
    return data if "://" in data else str(Path(data).expanduser().resolve())


def _checked(since: str | None) -> str:
    if since is None:
        return ""
    try:
        return datetime.fromisoformat(since).isoformat()
    except ValueError as error:
        raise UserError(
            f"--since {since}: is not a time such as 2026-11-30 or 2026-11-30T12:00:00Z"
        ) from error


def _show(comparison: Comparison) -> None:
    console.print()
    console.print(_table(comparison))
    console.print()
    rows, agreement = comparison.rows, comparison.agreement
    say(
        f"{integer(rows.rows)} fresh rows, {integer(rows.labelled)} with a label; the same "
        f"class on {percent(agreement.estimate.value)} of all (at least {percent(agreement.lower)})"
    )
    for warning in comparison.warnings:
        say(warning, style="yellow")
    colour = {"supports": "green", "against": "red", "inconclusive": "yellow"}
    word = comparison.recommendation
    console.print(f"[bold {colour[word]}]{word}[/] ", end="")
    say(comparison.summary)


def _table(comparison: Comparison) -> Table:
    table = plain_table("model")
    for heading in ("accuracy", "confidence", "size", "p50", "p95"):
        table.add_column(heading, justify="right")
    for role, model in (("challenger", comparison.challenger), ("champion", comparison.champion)):
        table.add_row(f"{role} {model.version}", *_cells(model))
    return table


def _cells(model: ComparedModel) -> list[str]:
    accuracy = model.metrics.get("accuracy")
    return [
        percent(accuracy.value) if accuracy else "",
        percent(model.mean_confidence),
        size(model.size_bytes),
        latency(model.latency.p50.value),
        latency(model.latency.p95.value),
    ]
