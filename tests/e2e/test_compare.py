"""``kubedistill compare`` on digits: killed half-way, and taken up again; no registry is made."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.command_line import DIGITS, Workspace

OPTIONS = (
    "--set", "teacher.training.steps=150",
    "--set", "student.training.steps=[100, 200]",
    "--set", "distillation.budget=600",
)  # fmt: skip


def compare(workspace: Workspace, *arguments: str) -> list[str | Path]:
    return ["compare", DIGITS, "--output", "out", "--seeds", "2", *OPTIONS, *arguments]


def test_a_comparison_that_was_killed_goes_on_where_it_was(workspace: Workspace) -> None:
    trial = workspace.folder / "out" / "seeds" / "0" / "dist" / "trial.json"
    program = Path(sys.executable).with_name("kubedistill")
    arguments = compare(workspace, "--methods", "dist,auto")
    running = subprocess.Popen(
        [program, *arguments],
        cwd=workspace.folder,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
    )
    deadline = time.monotonic() + 240
    while not trial.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    _, said = running.communicate()
    assert trial.exists(), said
    written = trial.stat().st_mtime_ns

    done = workspace.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert trial.stat().st_mtime_ns == written
    assert "2/6 seed 0, dist" in done.stderr
    assert done.stderr.count("done before") >= 2
    found = json.loads(done.stdout)
    assert found == json.loads((workspace.folder / "out" / "comparison.json").read_text())
    accuracy = {one["name"]: one["accuracy"]["mean"] for one in found["contenders"]}
    assert accuracy["dist"] > accuracy["hard_label"]
    auto = [one for one in found["trials"] if one["method"] == "auto"]
    assert all(one["tried"] > 1 for one in auto)
    assert not workspace.database.exists()
    assert "</html>" in (workspace.folder / "out" / "comparison.html").read_text()

    again = workspace.run(*arguments)
    assert again.stderr.count("done before") == 6


def test_a_method_that_does_not_fit_the_data_is_left_out(workspace: Workspace) -> None:
    recipe = workspace.folder / "cancer.yaml"
    text = DIGITS.read_text().replace("builtin://digits", "builtin://breast_cancer")
    recipe.write_text(
        text.replace(
            "input: {kind: image, column: image, size: [1, 8, 8]}",
            "input: {kind: tabular, columns: [mean radius, mean texture]}",
        )
        .replace("labelled: 100, unlabelled: 900, test: 797", "labelled: 60, unlabelled: 240")
        .replace("family: cnn, channels: [32, 64], hidden: 32, dropout: 0.3", "family: mlp")
        .replace(", shift: 1", "")
        .replace("min_rows: 100", "min_rows: 50")
        .replace("  max_value: 16\n", "")
    )
    short = (
        "--set", "teacher.training.steps=20", "--set", "student.training.steps=[20]",
        "--set", "distillation.method=dist", "--seeds", "1", "--output", "out",
    )  # fmt: skip
    done = workspace.run("compare", recipe, "--methods", "dist,kd,kd+fitnet", *short, "--json")
    assert done.returncode == 0, done.stderr
    assert "dist was left out: " in done.stderr
    found = json.loads(done.stdout)
    assert [one["method"] for one in found["left_out"]] == ["dist"]
    assert "three classes or more" in found["left_out"][0]["reason"]
    ran = [one["name"] for one in found["contenders"] if one["kind"] == "method"]
    assert ran == ["kd", "kd+fitnet"]
    alone = workspace.run("compare", recipe, "--methods", "dist", *short)
    assert alone.returncode == 2, alone.stderr
    assert "no method could be compared: method dist:" in alone.stderr
