"""``kubedistill run``: run a recipe here, follow it, and leave its results in a folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from components.shared.recipe import Recipe
from pipelines.cli.console import choose_tracking_uri, console, plain_table, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.cli.explaining import show_decision
from pipelines.cli.progress import follow
from pipelines.output_folder import REPORT, SUMMARY, exclusive, write_results

if TYPE_CHECKING:
    from pipelines.step_runners import StepRunner


@dataclass(frozen=True)
class ContainerOptions:
    """How steps run in containers."""

    network: str | None
    """As ``docker run --network`` names it; null for the least that the run can do with."""
    images: Mapping[str, str] | None
    """References that stand for our images; null for their names by tag."""


def run_recipe(
    recipe: Recipe,
    output: Path,
    tracking_uri: str | None,
    as_json: bool,
    explain: bool,
    git_commit: str,
    containers: ContainerOptions | None,
) -> int:
    """Run a recipe, write its results, and say how it ended.

    Args:
        recipe: what to run.
        output: folder for the results.
        tracking_uri: MLflow server or store; null for the environment's, or the embedded one.
        as_json: print ``summary.json`` on standard output.
        explain: print every gate of every candidate.
        git_commit: the commit that the recipe is from; empty where it is not known.
        containers: how steps run in containers; null for processes of this machine.
    """
    choose_tracking_uri(tracking_uri)
    runner, where = _runner(recipe, containers)
    with exclusive(output):
        with follow(f"[bold]{recipe.name}[/] seed {recipe.seed}{where}") as listener:
            from pipelines.local import run_locally

            finished = run_locally(
                recipe,
                output.resolve(),
                listener,
                runner,
                git_commit=git_commit,
                references=containers.images if containers else None,
            )
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


def _runner(recipe: Recipe, containers: ContainerOptions | None) -> tuple["StepRunner", str]:
    """What runs the steps, and what to say of it."""
    if containers is None:
        from pipelines.local import IN_PROCESSES

        return IN_PROCESSES, ""
    from pipelines.docker_runner.runner import Containers
    from pipelines.docker_runner.surroundings import surroundings_of

    surroundings = surroundings_of(recipe, containers.network)
    return Containers(surroundings, say), f" in containers, network {escape(surroundings.network)}"


def _show(summary: dict[str, Any], output: Path) -> None:
    console.print()
    console.print(_table("arm", summary["arms"]))
    if len(summary["candidates"]) > 1 or summary["skipped_candidates"]:
        console.print()
        if summary["candidates"]:
            forms = summary["candidates"]
            console.print(_table("form of the student", forms, summary["candidate"]))
        for name, reason in summary["skipped_candidates"].items():
            say(f"{name} was left out: {reason}")
    console.print()
    if summary["gap_recovered"] is not None:
        say(
            f"gap recovered {summary['gap_recovered']:.0%}   retention {summary['retention']:.1%}"
            f"   {summary['total_s']:.0f} s"
        )
    for warning in (*summary["data_remarks"], *summary["warnings"]):
        say(warning, style="yellow")
    _show_outcome(summary)
    for name in (REPORT, SUMMARY):
        say(str(output / name))


def _show_outcome(summary: dict[str, Any]) -> None:
    if summary["verdict"] == "reject":
        console.print("[bold red]rejected[/]; the registry is unchanged")
        for reason in summary["reasons"]:
            say(f"  {reason}")
        return
    word = {"promoted": "[bold green]promoted[/] ", "challenger": "[bold yellow]passed[/] "}
    console.print(word.get(summary["outcome"], "[bold]passed[/] "), end="")
    say(f"{summary['registry']} ({summary['candidate']})")


def _measured(result: dict[str, Any]) -> list[str]:
    """What is only known of a model that was run here."""
    latency = result.get("latency_ms")
    if latency is None:
        return ["-"] * 4
    return [
        f"{result['parameters']:,}",
        f"{result['size_bytes'] / 1000:,.1f} kB",
        f"{latency['p50'] * 1000:,.1f} µs",
        f"{latency['p95'] * 1000:,.1f} µs",
    ]


def _table(title: str, results: dict[str, Any], chosen: str | None = None) -> Table:
    table = plain_table(title)
    for heading in ("accuracy", "parameters", "size", "p50", "p95"):
        table.add_column(heading, justify="right")
    if chosen:
        table.add_column("gates")
    for name, result in results.items():
        if result is None:
            continue
        cells = [name if chosen else name.replace("_", "-"), f"{result['accuracy']:.1%}"]
        cells += _measured(result)
        if chosen:
            cells.append("passed" if result["passed"] else "failed")
        table.add_row(*cells, style="bold" if name == chosen else "")
    return table
