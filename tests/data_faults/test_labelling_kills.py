"""Labelling that is killed, and workers at the same store: it ends as if nothing had happened."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from components.shared.soft_labels import MANIFEST
from tests.data_faults.labelling_data import Prepared, prepare
from tests.data_faults.warm_labelling import WarmLabelling, warm_labelling

KILLS = 20
SECTION = {"shard_rows": 250}
GENERATE, WORK = "generate_soft_labels", "label_shards"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A table of 80 shards."""
    return prepare(tmp_path_factory.mktemp("prepared"), rows=20_000, file_rows=10_000, hidden=64)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmLabelling]:
    with warm_labelling(tmp_path_factory.mktemp("log") / "steps.log") as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(
    prepared: Prepared, warm: WarmLabelling, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Every file of a store that was written in one go."""
    folder = tmp_path_factory.mktemp("undisturbed") / "store"
    assert warm.run(GENERATE, *prepared.arguments, SECTION, "", folder) == 0
    return content(folder)


def content(folder: Path) -> dict[str, bytes]:
    """Files by name; a hidden one was not written to its end."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


def names(folder: Path) -> list[str]:
    """Of the files that are whole."""
    files = folder.iterdir() if folder.is_dir() else []
    return [path.name for path in files if path.name[0] != "."]


def test_store_of_a_labelling_killed_twenty_times_is_that_of_an_undisturbed_one(
    prepared: Prepared, warm: WarmLabelling, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    chance = random.Random(0)  # noqa: S311 - moments, no secrets
    store, killed, amid = tmp_path / "store", 0, 0
    arguments = (GENERATE, *prepared.arguments, SECTION, "", store)
    while killed < KILLS:
        process = warm.start(*arguments)
        files = chance.randint(len(names(store)), len(undisturbed) - 1)
        while warm.is_running(process) and len(names(store)) < files:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))  # about as long as a shard takes
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(process, signal.SIGKILL)
        if warm.wait(process) == -signal.SIGKILL:
            killed += 1
        found = content(store)
        amid += 0 < len(found) < len(undisturbed)
        assert found.items() <= undisturbed.items(), "what has its name is whole and right"
        if MANIFEST in found:
            assert found == undisturbed
            shutil.rmtree(store)
    assert amid >= KILLS / 2, "most kills came too early or too late to disturb"
    assert warm.run(*arguments) == 0
    assert content(store) == undisturbed


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_workers_at_once_make_the_store_of_one_alone(
    prepared: Prepared,
    warm: WarmLabelling,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    seconds: float,
) -> None:
    section = {**SECTION, "workers": 2}
    arguments = (*prepared.arguments, section, str(tmp_path / "storage"))
    first = warm.start(WORK, *arguments, 0)
    time.sleep(seconds)
    second = warm.start(WORK, *arguments, 1)
    assert (warm.wait(first), warm.wait(second)) == (0, 0)
    (store,) = (tmp_path / "storage" / "soft-labels").iterdir()
    shards = {name: data for name, data in undisturbed.items() if name != MANIFEST}
    assert content(store) == shards, "whole, and not sealed"
    assert warm.run(GENERATE, *arguments, tmp_path / "artifact") == 0
    assert content(store) == undisturbed


def test_two_processes_that_label_the_same_rows_do_not_disturb_each_other(
    prepared: Prepared, warm: WarmLabelling, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    arguments = (GENERATE, *prepared.arguments, SECTION, str(tmp_path / "storage"))
    both = [warm.start(*arguments, tmp_path / name) for name in ("one", "other")]
    assert [warm.wait(process) for process in both] == [0, 0]
    (store,) = (tmp_path / "storage" / "soft-labels").iterdir()
    assert content(store) == undisturbed
    assert content(tmp_path / "one") == content(tmp_path / "other")
