"""The command line as a user runs it, in a folder of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "pipelines" / "recipes" / "digits.yaml"
SHORT = (
    "teacher.training.steps=150",
    "student.training.steps=[200]",
    "distillation.temperature=2",
    "distillation.weight=1",
    "evaluation.calls=1000",
)
"""Overrides that make a run short; the student is still a real one."""


@dataclass(frozen=True)
class Workspace:
    """A folder to run ``kubedistill`` in, with its own registry."""

    folder: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        program = Path(sys.executable).with_name("kubedistill")
        return subprocess.run(
            [program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def distil(self, output: str, *overrides: str, recipe: Path = DIGITS) -> "Ended":
        """``kubedistill run``, shortened."""
        options = [part for override in (*SHORT, *overrides) for part in ("--set", override)]
        done = self.run("run", recipe, "--output", output, *options)
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


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Ended]:
    """A workspace in which one run has promoted a student."""
    workspace = Workspace(tmp_path_factory.mktemp("promoted"))
    ended = workspace.distil("first")
    assert ended.status == 0, ended.stderr
    return workspace, ended


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)
