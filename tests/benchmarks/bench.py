"""``make bench``: the performance targets, measured; writes ``build/bench.json``."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from components.shared.files import write_atomically
from components.shared.recipe import Recipe, load_recipe
from pipelines.docker_runner.runner import Containers
from pipelines.docker_runner.surroundings import surroundings_of
from pipelines.local import IN_PROCESSES, LocalRun, run_locally
from pipelines.step_runners import StepRunner, Subprocesses
from tests.benchmarks import (
    compression,
    containers,
    evaluation,
    features,
    labelling,
    latency,
    objectives,
    reading,
    training,
    validation,
)
from tests.benchmarks.results import Result, result

ROOT = Path(__file__).parents[2]
REPETITIONS = 3
MEASURED_OR_TRAINED = {
    "train_teacher",
    "generate_soft_labels",
    "train_student",
    "train_hard_label",
    "train_pseudo_label",
    "evaluate_student",
}
"""Steps whose work is training, labelling or measuring; all else is overhead."""


def overhead(run: LocalRun) -> float:
    """Seconds of a run that were neither training nor labelling nor measuring."""
    useful = sum(timing.work for step, timing in run.timings.items() if step in MEASURED_OR_TRAINED)
    return run.seconds - useful


def in_processes(recipe: Recipe) -> StepRunner:
    """With warm interpreters, as a user runs it."""
    return IN_PROCESSES


def in_new_interpreters(recipe: Recipe) -> StepRunner:
    """Each step in a process that imports what it needs."""
    return Subprocesses({})


def in_containers(recipe: Recipe) -> StepRunner:
    """Each step in its image, without a network."""
    return Containers(surroundings_of(recipe), print)


def run_once(runner_of: Callable[[Recipe], StepRunner]) -> LocalRun:
    """The default recipe with a new registry."""
    with tempfile.TemporaryDirectory(prefix="kubedistill-bench-") as folder:
        recipe = load_recipe(ROOT / "pipelines" / "recipes" / "digits.yaml")
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        return run_locally(recipe, Path(folder) / "out", lambda _: None, runner_of(recipe))


def measure_runs(report: Callable[[str], None]) -> list[Result]:
    """Whole runs of the default recipe, each in a folder of its own; warm, cold and in containers
    in turn, so that a machine that drifts is the same for all."""
    warm, cold, contained = [], [], []
    has_images = containers.available(report)
    for number in range(1, REPETITIONS + 1):
        report(f"run {number} of {REPETITIONS}, warm, cold and in containers")
        warm.append(run_once(in_processes))
        cold.append(run_once(in_new_interpreters))
        if has_images:
            contained.append(run_once(in_containers))
    pairs = list(zip(warm, cold, strict=True))
    per_step = [
        (overhead(run) - overhead(beside)) / len(run.timings)
        for run, beside in zip(contained, cold, strict=False)
    ]
    return [
        *([containers.container_overhead(per_step)] if per_step else []),
        result(
            "demo_seconds",
            [run.seconds for run in warm],
            "s",
            60,
            "wall time of the default recipe, compilation included",
        ),
        result(
            "demo_overhead_seconds",
            [overhead(run) for run in warm],
            "s",
            20,
            "the part of it that is not training, labelling or measuring",
        ),
        result(
            "warm_vs_cold_overhead",
            [overhead(warm_run) / overhead(cold_run) for warm_run, cold_run in pairs],
            "ratio",
            0.7,
            "overhead with warm interpreters against a new interpreter for each step, in turn",
        ),
    ]


def main() -> None:
    """Measure, write, and show."""
    console = Console()
    started = time.monotonic()
    results = [
        *latency.measure(),
        *evaluation.measure(console.print),
        *compression.measure(console.print),
        *reading.measure(console.print),
        *validation.measure(console.print),
        *labelling.measure(console.print),
        *training.measure(console.print),
        *objectives.measure(console.print),
        *features.measure(console.print),
        *measure_runs(console.print),
    ]
    rows = [asdict(row) for row in results]
    write_atomically(ROOT / "build" / "bench.json", json.dumps(rows, indent=2) + "\n")
    table = Table("name", "value", "target", "holds", "spread", "how")
    for row in results:
        spread = " to ".join(f"{value:.3g}" for value in row.spread)
        table.add_row(
            row.name,
            f"{row.value:.3g} {row.unit}",
            f"{'<=' if row.better == 'lower' else '>='} {row.target:g}",
            "yes" if row.holds else "NO",
            spread,
            row.how,
        )
    console.print(table)
    console.print(f"{time.monotonic() - started:.0f} s; build/bench.json")


if __name__ == "__main__":
    main()
