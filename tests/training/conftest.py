"""Digits with soft labels, and steps that refuse them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.shared.events import parse_event
from tests.training.labelled_digits import Labelled, write_store


@pytest.fixture(autouse=True)
def _torch_as_before(torch_as_before: None) -> None:
    """Steps set torch's threads, and make it repeatable."""


@pytest.fixture
def labelled(digits: Path, tmp_path: Path) -> Labelled:
    digest = write_store(digits, tmp_path / "store")
    return Labelled(digits, tmp_path / "store", digest, tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls a step that has to end with status 2; gives the message of its error event."""

    def call(step: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            step(*arguments, **options)
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        last = parse_event(printed.out.splitlines()[-1])
        assert last is not None
        assert (last["event"], last["kind"]) == ("error", "user")
        return str(last["message"])

    return call
