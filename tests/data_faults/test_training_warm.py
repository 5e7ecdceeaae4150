"""SIGTERM reaches a training in a warm interpreter, and its status comes back."""

import signal
import subprocess
import sys
from pathlib import Path

from pipelines.warm import warm_interpreters

IMAGE = "python-torch"
PROGRAM = """
import time
from components.shared.training.checkpoints import kept_in
with kept_in("", {}) as checkpoints, checkpoints.slot("final").training():
    print("training", flush=True)
    while not checkpoints.termination.requested:
        time.sleep(0.01)
    print("one more step", flush=True)
"""


def test_sigterm_reaches_a_warm_step_and_its_status_comes_back(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    client = '-I -S "$KUBEDISTILL_WARM/client.py" "$KUBEDISTILL_WARM/0" -m program'
    with (
        warm_interpreters({IMAGE: ["torch"]}),
        subprocess.Popen(
            ["/bin/sh", "-ec", f"exec {sys.executable} {client}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert printed.startswith("one more step\n")
    assert '"event": "terminated"' in printed
