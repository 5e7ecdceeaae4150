"""``kubedistill run``: run a recipe here, follow it, and leave its results in a folder."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from components.shared.recipe import Recipe
from pipelines.cli.console import choose_tracking_uri, console, print_json
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.explaining import show_decision
from pipelines.cli.progress import follow
from pipelines.output_folder import REPORT, SUMMARY, exclusive, write_results


def run_recipe(
    recipe: Recipe, output: Path, tracking_uri: str | None, as_json: bool, explain: bool
) -> int:
    """Run a recipe, write its results, and say how it ended.

    Args:
        recipe: what to run.
        output: folder for the results.
        tracking_uri: MLflow server or store; null for the environment's, or the embedded one.
        as_json: print ``summary.json`` on standard output.
        explain: print every gate of every candidate.
    """
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
            markdown=finished.markdown,
            decision=finished.decision.model_dump_json(indent=2),
            summary=json.dumps(summary, indent=2) + "\n",
        )
    if as_json:
        print_json(summary)
    _show(summary, output)
    if explain:
        show_decision(finished.decision)
    return ExitStatus.DONE if summary["verdict"] == "promote" else ExitStatus.REJECTED


def _show(summary: dict[str, Any], output: Path) -> None:
    console.print()
    console.print(_table("arm", summary["arms"]))
    if len(summary["candidates"]) > 1 or summary["skipped_candidates"]:
        console.print()
        if summary["candidates"]:
            forms = summary["candidates"]
            console.print(_table("form of the student", forms, summary["candidate"]))
        for name, reason in summary["skipped_candidates"].items():
            console.print(f"{name} was left out: {reason}", markup=False, soft_wrap=True)
    console.print()
    if summary["gap_recovered"] is not None:
        console.print(
            f"gap recovered {summary['gap_recovered']:.0%}   retention {summary['retention']:.1%}"
            f"   {summary['total_s']:.0f} s"
        )
    for warning in summary["warnings"]:
        console.print(warning, style="yellow", markup=False, soft_wrap=True)
    model = summary["model"]
    if summary["verdict"] == "promote":
        console.print(
            f"[bold green]promoted[/] {model['name']} version {model['version']} "
            f"({summary['candidate']}) is now @{model['alias']}"
        )
    else:
        console.print("[bold red]rejected[/]; the registry is unchanged")
        for reason in summary["reasons"]:
            console.print(f"  {reason}", markup=False, soft_wrap=True)
    for name in (REPORT, SUMMARY):
        console.print(str(output / name), markup=False, soft_wrap=True)


def _table(title: str, results: dict[str, Any], chosen: str | None = None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title)
    for heading in ("accuracy", "parameters", "size", "p50", "p95"):
        table.add_column(heading, justify="right")
    if chosen:
        table.add_column("gates")
    for name, result in results.items():
        if result is None:
            continue
        latency = result["latency_ms"]
        cells = [
            name if chosen else name.replace("_", "-"),
            f"{result['accuracy']:.1%}",
            f"{result['parameters']:,}",
            f"{result['size_bytes'] / 1000:,.1f} kB",
            f"{latency['p50'] * 1000:,.1f} µs",
            f"{latency['p95'] * 1000:,.1f} µs",
        ]
        if chosen:
            cells.append("passed" if result["passed"] else "failed")
        table.add_row(*cells, style="bold" if name == chosen else "")
    return table
