"""Another student becomes the champion while one is measured: it is measured again."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.command_line import DIGITS, SHORT, Workspace

LENIENT = (
    "gates.accuracy.min=0.5",
    "gates.retention.min=0.5",
    "gates.champion.max_regression=0.3",
    "gates.hard_label=null",
    "gates.latency={p95_ms: 50, ratio_to_champion: 20}",
)
"""Any student passes: it is not the gates that are tried here."""
SLOW = ("evaluation.latency.budget_s=5", "evaluation.latency.precision=0.0001")
"""Measuring takes all of its time, so that it is met under way."""
MODEL = "digits-student"


def test_student_is_judged_again_against_the_champion_of_the_moment(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.distil("first", *LENIENT).status == 0
    waiting = workspace.distil("waiting", *LENIENT, "seed=1", "registry.promotion=approval")
    assert waiting.summary["outcome"] == "challenger"
    overrides = (*SHORT, *LENIENT, "seed=2", *SLOW)
    options = [part for override in overrides for part in ("--set", override)]
    program = Path(sys.executable).with_name("kubedistill")
    with subprocess.Popen(
        [program, "run", DIGITS, "--output", "last", *options],
        cwd=workspace.folder,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert any("evaluate_student: started" in line for line in process.stderr)
            process.send_signal(signal.SIGSTOP)  # what is measured is not judged yet
            assert workspace.run("promote", MODEL, "--reason", "it waited").returncode == 0
            process.send_signal(signal.SIGCONT)
            _, said = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == 0, said

    summary = json.loads((workspace.folder / "last" / "summary.json").read_text())
    assert (summary["outcome"], summary["champion_before"]) == ("promoted", "2")
    assert "version 3 is now @champion" in said
    decision = json.loads((workspace.folder / "last" / "decision.json").read_text())
    assert decision["champion_version"] == "2"
    history = json.loads(workspace.run("history", MODEL, "--json").stdout)
    assert history["fault"] is None
    assert [
        (move["compared_with"], move["champion_before"], move["champion_after"])
        for move in history["moves"]
        if move["action"] == "promote"
    ] == [(None, None, "1"), ("1", "1", "2"), ("2", "2", "3")]
