"""Soft labels in S3: a server that goes away meanwhile, and objects that are not what they were."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from components.shared.dataset import SPLITS, Dataset
from components.shared.errors import UserError
from components.shared.soft_labels import MANIFEST, SoftLabels
from components.shared.storage import open_storage
from tests.data_faults.labelling_data import Prepared, label, prepare
from tests.data_faults.warm_labelling import WarmLabelling, warm_labelling
from tests.servers.s3 import S3Service

SECTION = {"shard_rows": 500}
SHARDS = 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), rows=20_000, file_rows=10_000, hidden=64)


@pytest.fixture(scope="module")
def undisturbed(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of a store that was written to a local disk in one go."""
    folder = tmp_path_factory.mktemp("undisturbed") / "store"
    label(prepared, folder, **SECTION)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def warm(service: S3Service, tmp_path: Path) -> Iterator[WarmLabelling]:
    """Starts labelling steps that know the server."""
    with warm_labelling(tmp_path / "steps.log") as server:
        yield server


def content(storage: str) -> dict[str, bytes]:
    """Objects of the one store below ``storage`` by their names in it."""
    root = open_storage(storage)
    return {Path(entry.name).name: root.read(entry.name) for entry in root.list()}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped_amidst(warm: WarmLabelling, process: int, storage: str, shards: int) -> bool:
    """Stop a labelling when it has written so many shards; false where it was quicker, and ends."""
    root = open_storage(storage)
    wait_until(lambda: len(list(root.list())) >= shards)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
        if MANIFEST not in content(storage):
            return True
        os.kill(process, signal.SIGCONT)
    assert warm.wait(process) == 0
    return False


def opened(prepared: Prepared, artifact: Path) -> SoftLabels:
    manifest = Dataset.open(prepared.dataset).manifest
    return SoftLabels.open(artifact, dataset_digest=manifest.digest, classes=manifest.classes)


def test_server_that_is_killed_and_started_again_costs_nothing_but_time(
    service: S3Service,
    warm: WarmLabelling,
    prepared: Prepared,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
) -> None:
    for number in range(1, 6):
        storage = f"{service.server.uri}/outage-{number}"
        arguments = (*prepared.arguments, SECTION, storage, tmp_path / f"artifact-{number}")
        process = warm.start("generate_soft_labels", *arguments)
        if stopped_amidst(warm, process, storage, 3):
            break
    service.kill()
    os.kill(process, signal.SIGCONT)
    time.sleep(2)
    service.start()
    assert warm.wait(process) == 0
    assert content(storage) == undisturbed
    log = (tmp_path / "steps.log").read_text()
    assert '"event": "storage_outage"' in log
    assert log.count('"rows": 20000, "shards": 40') == number, "no row was labelled twice"


def test_labelling_killed_while_it_writes_to_s3_is_continued(
    service: S3Service,
    warm: WarmLabelling,
    prepared: Prepared,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
) -> None:
    for number in range(1, 6):
        storage = f"{service.server.uri}/killed-{number}"
        arguments = (*prepared.arguments, SECTION, storage, tmp_path / f"artifact-{number}")
        killed = []
        for shards in (3, 9, 20):
            process = warm.start("generate_soft_labels", *arguments)
            if not stopped_amidst(warm, process, storage, shards):
                break
            os.kill(process, signal.SIGKILL)
            assert warm.wait(process) == -signal.SIGKILL
            found = content(storage)
            assert found.items() <= undisturbed.items()
            assert MANIFEST not in found
            killed.append(shards)
        if len(killed) == 3:
            break
    assert killed == [3, 9, 20]
    assert warm.run("generate_soft_labels", *arguments) == 0
    assert content(storage) == undisturbed


def test_labels_in_s3_are_read_by_id_from_wherever_the_artifact_is(
    service: S3Service, prepared: Prepared, tmp_path: Path
) -> None:
    label(prepared, tmp_path / "local", **SECTION)
    label(prepared, tmp_path / "artifact", f"{service.server.uri}/read", **SECTION)
    assert [path.name for path in (tmp_path / "artifact").iterdir()] == [MANIFEST]
    names = Dataset.open(prepared.dataset).load(*SPLITS).names[::-1]
    found = opened(prepared, tmp_path / "artifact").logits(names)
    assert (found == opened(prepared, tmp_path / "local").logits(names)).all()


@pytest.mark.parametrize("damage", ["cut off", "flipped", "other rows", "gone"])
def test_object_that_is_not_the_right_one_is_never_read_and_is_labelled_again(
    service: S3Service,
    prepared: Prepared,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    damage: str,
) -> None:
    root = f"{service.server.uri}/damage-{damage.replace(' ', '-')}"
    label(prepared, tmp_path / "artifact", root, **SECTION)
    store = open_storage(str(opened(prepared, tmp_path / "artifact").manifest.location))
    name, whole = "part-00007.safetensors", undisturbed["part-00007.safetensors"]
    if damage == "gone":
        store.delete(name)
    else:
        store.write(
            name,
            {
                "cut off": whole[:-9],
                "flipped": whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:],
                "other rows": undisturbed["part-00008.safetensors"],
            }[damage],
        )
    with pytest.raises(UserError, match=r"part-00007\.safetensors: this soft-label shard is"):
        opened(prepared, tmp_path / "artifact").labels(7)
    label(prepared, tmp_path / "again", root, **SECTION)
    assert content(root) == undisturbed
    opened(prepared, tmp_path / "artifact").labels(7)
