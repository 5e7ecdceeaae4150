"""Trainings that are interrupted in the middle, and go on."""

import hashlib
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from components.shared.errors import StorageFailed, UserError
from components.shared.events import parse_event
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec, ImageInput, TrainingSpec
from components.shared.storage import LocalStorage
from components.shared.training.checkpoints import Checkpoints, Slot, kept_in
from components.shared.training.objectives import cross_entropy
from components.shared.training.rows import Batch, MemoryRows
from components.shared.training.termination import STATUS, Termination
from components.shared.training.trainer import fit

INPUTS = torch.randn(60, 1, 6, 6, generator=torch.Generator().manual_seed(0))
ROWS = MemoryRows(INPUTS, (INPUTS.mean(dim=(1, 2, 3)) > 0).long(), (), torch.arange(60))
SPEC = TrainingSpec(steps=40, batch_size=20, learning_rate=1e-2, shift=1)
SUBJECT = {"data": "d" * 64}

Hook = Callable[[int], None]


@pytest.fixture(autouse=True)
def _always_due_on_one_thread(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDISTILL_CHECKPOINT_SECONDS", "0")


def trained(slot: Slot | None, hook: Hook = lambda _step: None, seed: int = 0) -> dict[str, Tensor]:
    """Weights of a network with dropout and batch normalisation."""
    torch.manual_seed(seed)
    network = Classifier.build(
        CnnSpec(family="cnn", channels=[4], hidden=4, dropout=0.3),
        ImageInput(kind="image", size=[1, 6, 6]),
        Preprocessing(mean=[0.0], std=[1.0]),
        classes=2,
    )
    calls = 0

    def loss(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        nonlocal calls
        calls += 1
        hook(calls)
        return (1 + progress) * cross_entropy(logits, batch.labels)

    fit(network, ROWS, loss, SPEC, seed, "test", slot)
    return network.state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def terminate_at(step: int) -> Hook:
    return lambda calls: os.kill(os.getpid(), signal.SIGTERM) if calls == step else None


def interrupted(storage: str, step: int = 13) -> None:
    with pytest.raises(SystemExit) as ended, kept_in(storage, SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"), terminate_at(step))
    assert ended.value.code == STATUS == 143


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    found = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    return [each for each in found if each and each["event"] == event]


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("step", [1, 2, 13, 39, 40])
def test_training_that_sigterm_ended_goes_on_to_the_same_weights(
    tmp_path: Path, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(str(tmp_path), step)
    assert told(capsys, "terminated")[0]["resumable"] is True
    steps: list[int] = []
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        again = trained(checkpoints.slot("final"), steps.append)
    assert len(steps) == SPEC.steps - step
    assert told(capsys, "resumed")[0]["done"] == step
    assert same(again, trained(None))


def test_training_that_ended_is_not_repeated(tmp_path: Path) -> None:
    steps: list[int] = []
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        first = trained(checkpoints.slot("candidate-0"), steps.append)
        checkpoints.flush()
        assert same(first, trained(checkpoints.slot("candidate-0"), steps.append))
        assert len(steps) == SPEC.steps
        other = trained(checkpoints.slot("candidate-1"), steps.append, seed=1)
    assert len(steps) == 2 * SPEC.steps
    assert not same(first, other)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "of another training"])
def test_checkpoint_that_is_not_right_is_refused_and_training_starts_over(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(str(tmp_path))
    (file,) = stored(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "flipped":
        file.write_bytes(content)
    elif damage == "truncated":
        file.write_bytes(content[:-9])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        with pytest.raises(SystemExit), kept_in(str(tmp_path), {"data": "other"}) as other:
            trained(other.slot("final"), terminate_at(7), seed=1)
        (foreign,) = set(stored(tmp_path)) - {file}
        foreign.replace(file)
    steps: list[int] = []
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        again = trained(checkpoints.slot("final"), steps.append)
    assert len(steps) == SPEC.steps
    assert len(told(capsys, "checkpoint_refused")) == 1
    assert same(again, trained(None))


def test_pickled_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, tuple[Path]]:
            return Path.touch, (tmp_path / "it-ran",)

    interrupted(str(tmp_path / "storage"))
    (file,) = stored(tmp_path / "storage")
    data = pickle.dumps(Malicious())
    header = b"kubedistill checkpoint 1\n"
    assert file.read_bytes().startswith(header)
    file.write_bytes(header + hashlib.sha256(data).digest() + data)
    with kept_in(str(tmp_path / "storage"), SUBJECT) as checkpoints:
        assert same(trained(checkpoints.slot("final")), trained(None))
    assert not (tmp_path / "it-ran").exists()


def test_other_subjects_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    interrupted(str(tmp_path))
    with kept_in(str(tmp_path), {"data": "e" * 64}) as checkpoints:
        assert checkpoints.slot("final").read() is None


def test_nothing_is_kept_without_a_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted("")
    assert told(capsys, "terminated")[0]["resumable"] is False
    assert not stored(tmp_path)


def test_checkpoints_are_deleted_when_they_are_no_longer_needed(tmp_path: Path) -> None:
    interrupted(str(tmp_path))
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"))
        checkpoints.delete()
    assert not stored(tmp_path)


def test_trainings_shorter_than_the_interval_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEDISTILL_CHECKPOINT_SECONDS", "60")
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"))
    assert not stored(tmp_path)


class Unreliable(LocalStorage):
    """Refuses writes."""

    error: Exception = StorageFailed("the disk went away")

    def write(self, name: str, data: bytes) -> None:
        raise self.error


def test_training_goes_on_while_the_storage_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Checkpoints(Unreliable(tmp_path), "s", Termination(), interval=0)
    assert same(trained(checkpoints.slot("final")), trained(None))
    assert "the disk went away" in told(capsys, "checkpoint_failed")[0]["reason"]


def test_storage_that_refuses_ends_the_training(tmp_path: Path) -> None:
    storage = Unreliable(tmp_path)
    storage.error = UserError("no right to write")
    checkpoints = Checkpoints(storage, "s", Termination(), interval=0)
    with pytest.raises(UserError, match="no right to write"):
        trained(checkpoints.slot("final"))


@pytest.mark.parametrize("error", [StorageFailed("the disk went away"), UserError("no right")])
def test_status_of_sigterm_and_a_finished_training_do_not_depend_on_the_storage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def refuses(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(LocalStorage, "delete", refuses)
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"))
        checkpoints.delete()
    assert str(error) in told(capsys, "checkpoints_left")[0]["reason"]
    monkeypatch.setattr(LocalStorage, "write", refuses)
    monkeypatch.setenv("KUBEDISTILL_CHECKPOINT_SECONDS", "60")
    with pytest.raises(SystemExit) as ended, kept_in(str(tmp_path / "new"), SUBJECT) as checkpoints:
        trained(checkpoints.slot("final"), terminate_at(7))
    assert ended.value.code == 143
    assert told(capsys, "terminated")[0]["resumable"] is False


def train_then_get_sigterm(storage: str) -> None:
    with kept_in(storage, SUBJECT) as checkpoints:
        trained(checkpoints.slot("candidate-0"))
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was ignored")


def test_sigterm_outside_of_a_training_ends_at_once(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        train_then_get_sigterm(str(tmp_path))
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    with kept_in(str(tmp_path), SUBJECT) as checkpoints:
        kept = checkpoints.slot("candidate-0").read()
    assert kept is not None
    assert kept["step"] == SPEC.steps
