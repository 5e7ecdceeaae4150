"""Runs killed or interrupted at many points: nothing is half-written, and the next succeeds."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.shared.bundle import load_network
from components.shared.dataset import Dataset
from components.shared.deployable import read_deployable
from components.shared.soft_labels import SoftLabels
from tests.command_line import DIGITS, SHORT, Workspace
from tests.faults.following import wait_for_step

STEPS = (
    "resolve_dataset",
    "validate_data",
    "train_teacher",
    "generate_soft_labels",
    "train_student",
    "compress_student",
    "evaluate_student",
    "register_student",
)
MARK = "KUBEDISTILL_TEST_RUN"


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One workspace for all interruptions, so that each finds what the ones before left."""
    return Workspace(tmp_path_factory.mktemp("battered"))


@contextmanager
def started(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run in the background, as the leader of a process group, with a mark in its environment."""
    mark = uuid.uuid4().hex
    options = [part for override in SHORT for part in ("--set", override)]
    process = subprocess.Popen(
        [
            # What a shell starts in the background would not hear Ctrl-C.
            *("env", "--default-signal=INT"),
            Path(sys.executable).with_name("kubedistill"),
            "run",
            DIGITS,
            "--output",
            "out",
            *options,
        ],
        cwd=workspace.folder,
        env={**os.environ, MARK: mark},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, mark
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def forget_earlier_results(workspace: Workspace) -> None:
    for name in ("run.log", "summary.json"):
        (workspace.folder / "out" / name).unlink(missing_ok=True)


def processes(mark: str) -> list[str]:
    """Command lines of the processes that belong to a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if line]


def assert_all_gone(mark: str) -> None:
    deadline = time.monotonic() + 90
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes(mark) == []


def assert_whole_or_absent(workspace: Workspace) -> None:
    """Every artifact that has its final name can be read and passes its own checks."""
    out = workspace.folder / "out"
    for run in (out / "pipeline").iterdir():
        dataset = run / "resolve-dataset" / "dataset"
        if dataset.exists():
            Dataset.open(dataset).table()
        for model in run.glob("train-*/model"):
            load_network(model)
        for model in run.glob("compress-student/*_onnx"):
            read_deployable(model)
        store = run / "generate-soft-labels" / "soft_labels"
        if (store / "manifest.json").exists():
            manifest = Dataset.open(dataset).manifest
            labels = SoftLabels.open(
                store, dataset_digest=manifest.digest, classes=manifest.classes
            )
            for position in range(len(labels.shards)):
                labels.labels(position)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_killed_run_leaves_no_process_and_nothing_half_written(
    battered: Workspace, step: str, delay: float
) -> None:
    forget_earlier_results(battered)
    with started(battered) as (process, mark):
        wait_for_step(battered.folder / "out", process, step)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert_all_gone(mark)
    summary = battered.folder / "out" / "summary.json"
    if summary.exists():  # the last step was quicker than the signal
        assert step == "register_student"
        assert json.loads(summary.read_text())["verdict"] == "promote"
    assert_whole_or_absent(battered)


@pytest.mark.parametrize("step", ["validate_data", "train_student"])
def test_ctrl_c_ends_a_run_with_one_line(battered: Workspace, step: str) -> None:
    forget_earlier_results(battered)
    with started(battered) as (process, mark):
        wait_for_step(battered.folder / "out", process, step)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 130
        assert stderr.splitlines()[-1] == "error: interrupted"
        assert "Traceback" not in stderr
        assert_all_gone(mark)
    assert not (battered.folder / "out" / "summary.json").exists()
    assert_whole_or_absent(battered)


def test_next_run_succeeds_where_all_others_were_killed(battered: Workspace) -> None:
    ended = battered.distil("out")
    assert ended.status == 0, ended.stderr
    champion = battered.status()["champion"]
    assert champion["version"] == ended.summary["model"]["version"]
    leftovers = [p.name for p in (battered.folder / "out").iterdir() if p.suffix == ".tmp"]
    assert leftovers == []
