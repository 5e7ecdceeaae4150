"""``kubedistill run``: run a recipe here, follow it, and leave its results in a folder."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from components.shared.recipe import Recipe
from pipelines.cli.console import choose_tracking_uri, console, print_json
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.progress import follow
from pipelines.output_folder import REPORT, SUMMARY, exclusive, write_results


def run_recipe(recipe: Recipe, output: Path, tracking_uri: str | None, as_json: bool) -> int:
    """Run, write ``summary.json``, ``decision.json`` and ``report.html``, and say how it ended."""
    choose_tracking_uri(tracking_uri)
    with exclusive(output):
        with follow(recipe) as listener:
            from pipelines.local import run_locally

            finished = run_locally(recipe, output.resolve(), listener)
        from pipelines.summary import summarise

        summary = summarise(recipe, finished)
        write_results(
            output,
            report=finished.report,
            decision=finished.decision.model_dump_json(indent=2),
            summary=json.dumps(summary, indent=2) + "\n",
        )
    if as_json:
        print_json(summary)
    _show(summary, output)
    return ExitStatus.DONE if summary["verdict"] == "promote" else ExitStatus.REJECTED


def _show(summary: dict[str, Any], output: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("arm")
    for heading in ("accuracy", "parameters", "size", "p50", "p95"):
        table.add_column(heading, justify="right")
    for name, arm in summary["arms"].items():
        if arm is None:
            continue
        latency = arm["latency_ms"]
        table.add_row(
            name.replace("_", "-"),
            f"{arm['accuracy']:.1%}",
            f"{arm['parameters']:,}",
            f"{arm['size_bytes'] / 1000:,.1f} kB",
            f"{latency['p50'] * 1000:,.1f} µs",
            f"{latency['p95'] * 1000:,.1f} µs",
        )
    console.print()
    console.print(table)
    console.print()
    if summary["gap_recovered"] is not None:
        console.print(
            f"gap recovered {summary['gap_recovered']:.0%}   retention {summary['retention']:.1%}"
            f"   {summary['total_s']:.0f} s"
        )
    model = summary["model"]
    if summary["verdict"] == "promote":
        console.print(
            f"[bold green]promoted[/] {model['name']} version {model['version']} "
            f"is now @{model['alias']}"
        )
    else:
        console.print("[bold red]rejected[/]; the registry is unchanged")
        for reason in summary["reasons"]:
            console.print(f"  {reason}", markup=False, soft_wrap=True)
    for name in (REPORT, SUMMARY):
        console.print(str(output / name), markup=False, soft_wrap=True)
