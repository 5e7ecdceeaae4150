"""Credentials that are wrong or missing: one clear line, soon, without showing any of them."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.registration.client import TrackingError
from components.shared.events import parse_event

SOON_S = 30
"""From the start of the step; MLflow's own retries would take longer."""
WRONG = "not-the-one-that-is-right"


@dataclass(frozen=True)
class Failed:
    """A step that has failed."""

    message: str
    seconds: float
    said: str
    """All that it printed, and its traceback."""


@pytest.fixture
def failing(capfd: pytest.CaptureFixture[str]) -> Callable[..., Failed]:
    """Runs a step that has to fail, in a new process with the present environment: MLflow and boto3
    keep clients, with their credentials, for as long as a process lives."""

    def run(step: Callable[..., object], *arguments: object) -> Failed:
        context = multiprocessing.get_context("spawn")
        capfd.readouterr()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            error = pool.submit(step, *arguments).exception(timeout=120)
        assert type(error) is TrackingError
        printed = capfd.readouterr()
        events = [event for line in printed.out.splitlines() if (event := parse_event(line))]
        return Failed(
            message=str(error),
            seconds=events[-1]["time"] - events[0]["time"],
            said=f"{printed.out}{printed.err}{error.__cause__}",
        )

    return run


def test_wrong_password_is_a_clear_error_that_does_not_show_it(secured, failing, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", WRONG)

    failed = failing(secured.register, secured.write("run-1"))

    _check(failed, "401", "MLFLOW_TRACKING_PASSWORD")


def test_missing_password_is_a_clear_error(secured, failing, monkeypatch, tmp_path: Path):
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")

    failed = failing(secured.fetch_champion, tmp_path / "champion")

    _check(failed, "401", "MLFLOW_TRACKING_USERNAME")
    assert not (tmp_path / "champion").exists()


def test_missing_s3_credentials_are_a_clear_error_and_a_retry_with_them_promotes(
    secured, failing, monkeypatch
):
    run = secured.write("run-1")
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        failed = failing(secured.register, run)

    _check(failed, "credentials", "AWS_ACCESS_KEY_ID")
    assert secured.versions() == []
    assert not run.output.exists()
    assert secured.register(run).version == "1"
    assert secured.aliases() == {"champion": "1"}


def test_wrong_s3_credentials_are_a_clear_error_that_does_not_show_them(
    secured, failing, monkeypatch
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG)

    failed = failing(secured.register, secured.write("run-1"))

    _check(failed, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY")


def test_missing_s3_credentials_are_a_clear_error_when_the_champion_is_fetched(
    secured, failing, monkeypatch, tmp_path: Path
):
    secured.promoted("run-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    failed = failing(secured.fetch_champion, tmp_path / "champion")

    _check(failed, "credentials", "AWS_ACCESS_KEY_ID")
    assert not (tmp_path / "champion").exists()


def _check(failed: Failed, *told: str) -> None:
    for part in told:
        assert part in failed.message
    assert "\n" not in failed.message
    assert len(failed.message) < 600
    assert failed.seconds < SOON_S
    assert WRONG not in failed.said
