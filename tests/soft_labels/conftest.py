"""Digits, labelled once by an untrained network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from components.shared.dataset import Dataset
from tests.soft_labels.digit_labels import Labelling, events_of, write_teacher


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def labelling(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Labelling:
    folder = tmp_path_factory.mktemp("teacher") / "model"
    return Labelling(digits, folder, write_teacher(folder, Dataset.open(digits)))


@pytest.fixture(scope="module")
def undisturbed(labelling: Labelling, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the defaults, which nobody changes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "store"
    labelling.generate(folder)
    return folder


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a step that a user's mistake ends; returns the message."""

    def run(step: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            step(*arguments, **named)
        assert ended.value.code == 2
        message: str = events_of(capsys.readouterr().out)["error"]["message"]
        return message

    return run


@pytest.fixture
def events(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, dict[str, Any]]]:
    """The last event of each kind since it was last asked."""
    return lambda: events_of(capsys.readouterr().out)
