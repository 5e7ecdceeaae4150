"""Waiting for a run that goes on in another process."""

import subprocess
import time
from pathlib import Path

from components.shared.events import parse_event


def wait_for_step(output: Path, process: subprocess.Popen[str], step: str) -> None:
    """Wait until a step of a run has started."""
    log = output / "run.log"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if log.exists():
            events = [parse_event(line) for line in log.read_text().splitlines()]
            if any(e and e["event"] == "started" and e["step"] == step for e in events):
                return
        assert not ended, "the run ended before it could be interrupted"
        time.sleep(0.005)
    raise AssertionError(f"{step} did not start")
