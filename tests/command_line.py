"""The command line as a user runs it, in a folder of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "pipelines" / "recipes" / "digits.yaml"
SHORT = (
    "teacher.training.steps=150",
    "student.training.steps=[200]",
    "distillation.temperature=2",
    "distillation.weight=1",
    "evaluation.latency.budget_s=0.5",
    "evaluation.latency.attempts=1",
    "gates.latency={p95_ms: 1000, ratio_to_champion: 20}",
    "gates.prefer=accuracy",
)
"""Overrides that make a run short; the student is still a real one. So short a measurement of
latency, beside other tests, tells little: it has wide limits, and another figure chooses the form
of the student."""


@dataclass(frozen=True)
class Workspace:
    """A folder to run ``kubedistill`` in, with its own registry."""

    folder: Path

    @property
    def database(self) -> Path:
        """MLflow's."""
        return self.folder / ".kubedistill" / "mlflow.db"

    @property
    def database_after_the_first_run(self) -> Path:
        """A copy."""
        return self.database.with_name("first.db")

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        program = Path(sys.executable).with_name("kubedistill")
        return subprocess.run(
            [program, *arguments],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def distil(self, output: str, *overrides: str, recipe: Path = DIGITS) -> "Ended":
        """``kubedistill run``, shortened."""
        options = [part for override in (*SHORT, *overrides) for part in ("--set", override)]
        return self.end("run", recipe, "--output", output, *options)

    def end(self, *arguments: str | Path) -> "Ended":
        """A command with ``--output``, to its end."""
        done = self.run(*arguments)
        output = arguments[arguments.index("--output") + 1]
        return Ended(done.returncode, done.stderr, self.folder / output)

    def status(self, model: str = "digits-student") -> dict[str, Any]:
        """``kubedistill status --json``."""
        done = self.run("status", model, "--json")
        assert done.returncode == 0, done.stderr
        value: dict[str, Any] = json.loads(done.stdout)
        return value


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    status: int
    stderr: str
    output: Path

    @property
    def summary(self) -> dict[str, Any]:
        """``summary.json``."""
        value: dict[str, Any] = json.loads((self.output / "summary.json").read_text())
        return value


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> Done:
    """Run ``kubedistill`` in this process, to its end."""
    monkeypatch.setattr(sys, "argv", ["kubedistill", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Done(ended.value.code, printed.out, printed.err)
