"""Whatever dies first (run, client, server or step), nothing is left over."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
    import os, subprocess, sys
    from pipelines.warm import warm_interpreters

    with warm_interpreters({"python-plain": sys.argv[1:]}):
        print(os.environ["KUBEDISTILL_WARM"], flush=True)
        client = ["-I", "-S", os.environ["KUBEDISTILL_WARM"] + "/client.py"]
        socket = os.environ["KUBEDISTILL_WARM"] + "/0"
        with subprocess.Popen([sys.executable, *client, socket, "-m", "program"]) as step:
            status = step.wait()
    print("status", status)
"""
STEP = """
    import os, signal, subprocess, sys, time
    child = subprocess.Popen(["sleep", "600"])
    def stop(*_):
        print("stopping", flush=True)
        sys.exit(9)
    signal.signal(signal.SIGTERM, stop)
    try:
        print(os.getpid(), os.getppid(), child.pid, flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it follows soon
        print("interrupted", flush=True)
        raise
"""


class Run:
    """A run in a process of its own, with one step that does not end by itself."""

    def __init__(self, folder: Path, *modules: str) -> None:
        (folder / "program.py").write_text(textwrap.dedent(STEP))
        self.process = subprocess.Popen(
            # What a shell starts in the background would not hear Ctrl-C.
            [
                "/usr/bin/env",
                "--default-signal=INT",
                sys.executable,
                "-c",
                textwrap.dedent(RUN),
                *modules,
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.folder = Path(self.output.readline().strip())

    def wait_for_step(self) -> None:
        """Until it runs, and its client passes signals on."""
        self.step, self.server, self.child = map(int, self.output.readline().split())
        client = self.client()
        wait_until(lambda: catches(client, signal.SIGTERM))

    def members(self) -> set[int]:
        """Servers, clients and steps of this run."""
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    if str(self.folder) in (entry / "cmdline").read_text():
                        found.add(int(entry.name))
                except OSError:
                    continue
        return found

    def client(self) -> int:
        (client,) = self.members() - {self.step, self.server}
        return client

    def assert_nothing_left(self) -> None:
        wait_until(lambda: not self.members())
        wait_until(lambda: not Path(f"/proc/{self.child}").exists())
        wait_until(lambda: not self.folder.exists())


def catches(process: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{process}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    try:
        run.wait_for_step()
        assert {run.step, run.server} < run.members()
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        run.output.close()


def test_a_killed_run_takes_servers_clients_steps_and_their_children_along(run: Run) -> None:
    run.process.kill()
    run.assert_nothing_left()
    assert "stopping" in run.output.read()


def test_a_run_killed_during_imports_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")
    run = Run(tmp_path, "slow")
    wait_until(run.members)
    run.process.kill()
    wait_until(lambda: not run.members())
    wait_until(lambda: not run.folder.exists())
    run.process.communicate()


def test_ctrl_c_in_a_terminal_interrupts_the_step_and_leaves_nothing(run: Run) -> None:
    os.killpg(run.process.pid, signal.SIGINT)
    output = run.process.communicate()[0]
    assert "interrupted" in output
    assert "stopping" not in output
    assert run.process.returncode == -signal.SIGINT
    run.assert_nothing_left()


def test_a_terminated_client_passes_the_signal_on_and_reports_the_status(run: Run) -> None:
    os.kill(run.client(), signal.SIGTERM)
    output = run.process.communicate()[0]
    assert "stopping" in output
    assert "status 9" in output
    run.assert_nothing_left()


def test_a_killed_client_takes_its_step_along(run: Run) -> None:
    os.kill(run.client(), signal.SIGKILL)
    assert "status -9" in run.process.communicate()[0]
    run.assert_nothing_left()


def test_a_killed_step_gives_the_status_a_shell_gives(run: Run) -> None:
    os.kill(run.child, signal.SIGKILL)
    os.kill(run.step, signal.SIGKILL)
    assert f"status {128 + signal.SIGKILL}" in run.process.communicate()[0]


def test_a_killed_server_fails_its_step_with_a_clear_line(run: Run) -> None:
    os.kill(run.child, signal.SIGKILL)
    os.kill(run.server, signal.SIGKILL)
    output = run.process.communicate()[0]
    assert "the warm interpreter that was to run this step has died" in output
    assert "status 1" in output
    run.assert_nothing_left()


def test_what_a_step_leaves_running_goes_on_as_it_does_cold(
    tmp_path: Path,
) -> None:
    from pipelines.warm import warm_interpreters

    (tmp_path / "program.py").write_text(
        "import subprocess\n"
        "left = 'until [ -e go ]; do sleep 0.05; done; touch done'\n"
        "subprocess.Popen(left, shell=True, stdout=subprocess.DEVNULL)\n"
    )
    with warm_interpreters({"python-plain": []}):
        folder = os.environ["KUBEDISTILL_WARM"]
        step = [sys.executable, "-I", "-S", f"{folder}/client.py", f"{folder}/0", "-m", "program"]
        subprocess.check_call(step, cwd=tmp_path, timeout=120)
        assert not (tmp_path / "done").exists()
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists)


def test_steps_after_the_death_of_a_server_run_cold(tmp_path: Path) -> None:
    from pipelines.warm import warm_interpreters

    (tmp_path / "program.py").write_text("import os; print(os.getppid())")
    with warm_interpreters({"python-plain": []}):
        folder = os.environ["KUBEDISTILL_WARM"]
        step = [sys.executable, "-I", "-S", f"{folder}/client.py", f"{folder}/0", "-m", "program"]
        server = int(subprocess.check_output(step, cwd=tmp_path))
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: "State:\tZ" in Path(f"/proc/{server}/status").read_text())
        assert int(subprocess.check_output(step, cwd=tmp_path)) == os.getpid()
