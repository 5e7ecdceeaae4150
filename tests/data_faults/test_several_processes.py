"""Training steps on several processes, which torch's launcher starts."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
import torch

from components.shared.bundle import WEIGHTS, ModelBundle, load_network
from components.shared.dataset import Dataset
from components.shared.errors import StepFailed, StorageFailed, UserError
from components.shared.events import parse_event
from components.shared.soft_labels import Views
from components.training import launching, steps
from components.training.request import ArmRequest, Failure, Place, digest_of_request
from tests.data_faults.training_processes import write_images, write_labels

ROWS = 240
STUDENT: dict[str, Any] = {
    "model": {"family": "mlp", "hidden": [8], "dropout": 0.2},
    "training": {"steps": [10, 30], "batch_size": 25, "learning_rate": 1e-2, "shift": 1},
}
DISTILLATION: dict[str, Any] = {"temperature": [2.0], "weight": [0.9], "holdout": 0.3}


pytestmark = pytest.mark.usefixtures("torch_as_before")


@dataclass(frozen=True)
class Labelled:
    """A data set with a store, and a folder for what is trained."""

    dataset: Path
    store: Path
    digest: str
    folder: Path

    @property
    def request(self) -> ArmRequest:
        return ArmRequest(
            arm="student",
            dataset=str(self.dataset),
            dataset_digest=Dataset.open(self.dataset).manifest.digest,
            soft_labels=str(self.store),
            soft_labels_digest=self.digest,
            student=STUDENT,
            distillation=DISTILLATION,
            seed=0,
            storage="",
        )

    def train(self, name: str, **changes: Any) -> ModelBundle:
        asked = self.request.model_copy(update=changes)
        return steps.train_student(
            self.dataset,
            asked.dataset_digest,
            asked.soft_labels,
            asked.soft_labels_digest,
            asked.arm,
            asked.student,
            asked.distillation,
            asked.seed,
            self.folder / name,
            asked.storage,
        )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    folder = tmp_path_factory.mktemp("data")
    dataset = write_images(folder / "images", ROWS)
    digest = write_labels(dataset, folder / "labels", 50, Views(seeds=[7], shift=1))
    return dataset, folder / "labels", digest


@pytest.fixture
def labelled(written: tuple[Path, Path, str], tmp_path: Path) -> Labelled:
    return Labelled(*written, tmp_path)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets the number of processes, and what one of them does before anything else."""

    def set_up(count: int, rank: int = 0, code: str = "") -> None:
        monkeypatch.setenv("KUBEDISTILL_PROCESSES", str(count))
        (tmp_path / "site").mkdir(exist_ok=True)
        guard = f"import os\nif os.environ.get('RANK') == '{rank}':\n"
        body = indent(f"pass\n{dedent(code)}", "    ")
        (tmp_path / "site" / "sitecustomize.py").write_text(guard + body)
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{Path.cwd()}")

    return set_up


def events_of(printed: str) -> list[dict[str, Any]]:
    return [event for line in printed.splitlines() if (event := parse_event(line))]


def test_two_processes_choose_and_train_what_one_does(
    labelled: Labelled,
    processes: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    alone = labelled.train("alone")
    capfd.readouterr()
    processes(2)
    together = labelled.train("together")
    assert together.selection == alone.selection
    (_, first), (_, second) = (load_network(labelled.folder / n) for n in ("alone", "together"))
    for name, values in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], values, rtol=1e-4, atol=1e-5)
    told = events_of(capfd.readouterr().out)
    assert {event["step"] for event in told} == {"train_student"}
    names = [event["event"] for event in told]
    assert (names[0], names[-1]) == ("started", "finished")
    assert names.count("training_rows") == names.count("started") == 1, "one process reports"


def at_the_first_step(statement: str) -> str:
    return f"import torch\ndef step(*_, **__): {statement}\ntorch.optim.AdamW.step = step"


def test_error_of_one_process_is_the_steps(
    labelled: Labelled, processes: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    broken = "raise RuntimeError('an illegal memory access')"
    processes(2, 1, at_the_first_step(broken))
    with pytest.raises(
        StepFailed, match="^process 1 of the training: RuntimeError: an illegal memory access$"
    ):
        labelled.train("model")
    assert not (labelled.folder / "model").exists()
    last = events_of(capfd.readouterr().out)[-1]
    assert (last["event"], last["kind"]) == ("error", "system")
    assert "an illegal memory access" in last["message"]


def test_mistake_that_one_process_finds_is_one_line_and_status_2(
    labelled: Labelled, processes: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    processes(2, 1, "os.environ['KUBEDISTILL_CHECKPOINT_SECONDS'] = 'often'")
    with pytest.raises(SystemExit) as ended:
        labelled.train("model")
    assert ended.value.code == 2
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    last = events_of(printed.out)[-1]
    assert (last["event"], last["kind"]) == ("error", "user")
    assert last["message"] == (
        "KUBEDISTILL_CHECKPOINT_SECONDS should be a number of seconds, not 'often'"
    )


def test_process_that_the_kernel_kills_ends_the_step(
    labelled: Labelled, processes: Callable[..., None]
) -> None:
    processes(2, 1, at_the_first_step("os.kill(os.getpid(), 9)"))
    with pytest.raises(StepFailed, match="^process 1 of the training: it was ended by SIGKILL; "):
        labelled.train("model")


@pytest.mark.parametrize(("value", "said"), [("0", "at least 1"), ("two", "not 'two'")])
def test_number_of_processes_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("KUBEDISTILL_PROCESSES", value)
    with pytest.raises(UserError, match=f"KUBEDISTILL_PROCESSES should be a number .*{said}"):
        launching.process_count()


def test_request_is_staged_once_and_read_elsewhere(labelled: Labelled) -> None:
    place = Place(str(labelled.folder / "place"))
    place.stage(labelled.request)
    staged = {p: p.stat().st_mtime_ns for p in Path(place.uri).rglob("*.safetensors")}
    assert staged, "the shards lie beside the manifest"
    place.stage(labelled.request)
    assert staged == {p: p.stat().st_mtime_ns for p in staged}
    with place.taken() as taken:
        assert isinstance(taken, ArmRequest)
        assert Path(taken.dataset).parent != labelled.dataset.parent
        names = {p.name for p in Path(taken.soft_labels).iterdir()}
        assert names == {p.name for p in labelled.store.iterdir()}
        Dataset.open(Path(taken.dataset), taken.dataset_digest)
    place.delete()
    assert not [p for p in Path(place.uri).rglob("*") if p.is_file()]


def test_digest_of_a_request_is_of_contents_and_run(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(**changes: Any) -> str:
        return digest_of_request(labelled.request.model_copy(update=changes))

    moved = labelled.folder / "moved"
    shutil.copytree(labelled.store, moved)
    assert digest(soft_labels=str(moved)) == digest()
    assert digest(seed=1) != digest()
    (moved / "manifest.json").write_text("{}")
    assert digest(soft_labels=str(moved)) != digest()
    before = digest()
    monkeypatch.setenv("KUBEDISTILL_RUN_ID", "another")
    assert digest() != before


def test_bundle_is_published_whole_and_damage_is_found(labelled: Labelled) -> None:
    trained = labelled.train("model")
    place = Place(str(labelled.folder / "place"))
    assert not place.has_bundle
    place.publish(labelled.folder / "model")
    assert place.collect(labelled.folder / "collected") == trained
    load_network(labelled.folder / "collected", trained.digest)
    weights = Path(place.uri) / "bundle" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(StorageFailed, match="is damaged"):
        place.collect(labelled.folder / "again")
    assert not (labelled.folder / "again").exists()
    assert not place.has_bundle, "the next attempt trains again"


def test_first_failure_is_the_one_that_is_told_and_told_once(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    assert place.failure() is None
    place.fail(Failure(kind="user", message="no such column", rank=1))
    place.fail(Failure(kind="system", message="connection closed by peer", rank=0))
    found = place.failure()
    assert found is not None
    assert isinstance(found.error(), UserError)
    assert found.message == "no such column"
    assert place.failure() is None


@pytest.mark.parametrize(
    ("kind", "explained"),
    [("lost", True), ("terminated", True), ("user", False), ("system", False)],
)
def test_killed_process_explains_the_end_of_others_and_no_error_of_theirs(
    tmp_path: Path, kind: Any, explained: bool
) -> None:
    place = Place(str(tmp_path))
    said = Failure(kind=kind, message="what it knew", rank=0)
    killed = Failure(kind="system", message="it was ended by SIGKILL", rank=1)
    place.fail(said)
    place.explain(killed)
    assert place.failure() == (killed if explained else said)


def test_failure_of_an_attempt_before_is_not_that_of_the_next(labelled: Labelled) -> None:
    place = Place(str(labelled.folder / "place"))
    place.fail(Failure(kind="terminated", message="SIGTERM", rank=0))
    place.stage(labelled.request)
    assert place.failure() is None, "its job may fail before a process starts"


def test_second_sigterm_does_not_cut_short_the_last_checkpoint() -> None:
    child = dedent("""
        import os, signal, sys, time
        seen = []
        signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
        while not seen:
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(0.05)
        time.sleep(0.5)
        told = len(seen)
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(0.5)
        sys.exit(len(seen) - told)
    """)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        status, asked = launching._follow([sys.executable, "-c", child], dict(os.environ))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked
    assert status == 0, "torch's launcher leaves its processes at the second one"


def test_sigterm_that_came_before_the_child_reaches_it() -> None:
    child = "import signal; signal.pause()"
    with launching._sigterm_passed_on() as sigterm:
        os.kill(os.getpid(), signal.SIGTERM)
        with subprocess.Popen([sys.executable, "-c", child], text=True) as process:
            sigterm.goes_to(process)
            assert process.wait(30) == -signal.SIGTERM
    assert sigterm.came
