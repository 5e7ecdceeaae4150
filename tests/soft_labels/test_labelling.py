"""Labelling digits with a real network: what is stored, and what a restart does."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from components.shared.dataset import Dataset, Rows
from components.shared.errors import UserError
from components.shared.events import parse_event
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import CnnSpec
from components.shared.soft_labels import (
    MANIFEST,
    SoftLabels,
    StoreIdentity,
    StoreManifest,
    TeacherRef,
)
from components.shared.storage import LocalStorage
from components.soft_labels.labelling import label_rows

ROOT = Path(__file__).parents[2]
SHARD_ROWS = 300
SHARDS = [f"part-{index:05d}.safetensors" for index in range(4)]


@pytest.fixture(scope="module")
def data(digits: Path) -> Dataset:
    return Dataset.open(digits)


@pytest.fixture(scope="module")
def rows(data: Dataset) -> Rows:
    return data.load("labelled", "unlabelled")


def build_network(data: Dataset) -> Classifier:
    """The same network, untrained, in every process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    spec = CnnSpec(family="cnn", channels=[8], hidden=16)
    scale = Preprocessing(mean=[5.0], std=[6.0])
    return Classifier.build(spec, data.manifest.input, scale, 10).eval()


@pytest.fixture(scope="module")
def network(data: Dataset) -> Classifier:
    return build_network(data)


def identity_of(data: Dataset) -> StoreIdentity:
    return StoreIdentity(
        dataset_digest=data.manifest.digest,
        teachers=[TeacherRef(digest="t" * 64, weight=1.0)],
        classes=data.manifest.classes,
        preprocessing_digest="p" * 64,
    )


def label(data: Dataset, rows: Rows, network: nn.Module, folder: Path) -> StoreManifest:
    assert isinstance(network, Classifier)
    storage = LocalStorage(folder)
    return label_rows(network, rows, identity_of(data), storage, shard_rows=SHARD_ROWS)


def objects(folder: Path) -> list[str]:
    """Names in a store; a hidden file is one that was not written to its end."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in objects(folder)}


def count_passes(network: Classifier, passes: list[int]) -> torch.utils.hooks.RemovableHandle:
    """Append the rows of every forward pass to ``passes``."""
    return network.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))


@pytest.fixture(scope="module")
def undisturbed(
    data: Dataset, rows: Rows, network: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    label(data, rows, network, folder)
    return folder


def test_stored_logits_are_the_networks_to_float16(
    data: Dataset, rows: Rows, network: Classifier, undisturbed: Path
) -> None:
    with torch.inference_mode():
        exact = network(torch.from_numpy(rows.inputs)).numpy()
    store = SoftLabels.read(
        LocalStorage(undisturbed),
        dataset_digest=data.manifest.digest,
        classes=data.manifest.classes,
    )
    # Half a unit in the last of 11 bits; the rest is the order of sums in other batches.
    np.testing.assert_allclose(store.logits(rows.ids), exact, rtol=2**-11 * 1.01, atol=1e-6)
    assert store.logits(rows.ids).std() > 0.01


def test_labelled_and_unlabelled_rows_fill_shards_in_order(
    data: Dataset, rows: Rows, undisturbed: Path
) -> None:
    manifest = StoreManifest.model_validate_json((undisturbed / MANIFEST).read_bytes())
    assert len(rows) == manifest.rows == 1000
    assert [(shard.file, shard.rows) for shard in manifest.shards] == list(
        zip(SHARDS, [300, 300, 300, 100], strict=True)
    )
    assert manifest.identity == identity_of(data)
    assert objects(undisturbed) == [MANIFEST, *SHARDS]


def test_progress_counts_every_row(
    data: Dataset,
    rows: Rows,
    network: Classifier,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    label(data, rows, network, tmp_path)
    last = parse_event(capsys.readouterr().out.splitlines()[-1])
    assert last is not None
    assert (last["activity"], last["done"], last["total"]) == ("labelling", 1000, 1000)


@pytest.mark.parametrize(
    ("lost", "passes"),
    [
        ([], []),
        ([MANIFEST], []),
        ([MANIFEST, SHARDS[1]], [300]),
        ([MANIFEST, SHARDS[2], SHARDS[3]], [300, 100]),
    ],
)
def test_restart_runs_the_teacher_for_what_is_missing_alone(
    data: Dataset,
    rows: Rows,
    network: Classifier,
    undisturbed: Path,
    tmp_path: Path,
    lost: list[str],
    passes: list[int],
) -> None:
    for name in set(content(undisturbed)) - set(lost):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    seen: list[int] = []
    with count_passes(network, seen):
        label(data, rows, network, tmp_path)
    assert seen == passes
    assert content(tmp_path) == content(undisturbed)


@pytest.mark.parametrize("damage", ["cut off", "empty", "other rows", "other teacher"])
def test_restart_replaces_a_shard_that_is_not_the_right_one(
    data: Dataset,
    rows: Rows,
    network: Classifier,
    undisturbed: Path,
    tmp_path: Path,
    damage: str,
) -> None:
    label(data, rows, network, tmp_path)
    shard = tmp_path / SHARDS[1]
    if damage == "cut off":
        shard.write_bytes(shard.read_bytes()[:-100])
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "other rows":
        shard.write_bytes((tmp_path / SHARDS[2]).read_bytes())
    else:
        other = identity_of(data).model_copy(
            update={"teachers": [TeacherRef(digest="0" * 64, weight=1.0)]}
        )
        foreign = tmp_path.with_name(f"{tmp_path.name}-other")
        label_rows(network, rows, other, LocalStorage(foreign), SHARD_ROWS)
        shard.write_bytes((foreign / SHARDS[1]).read_bytes())
    seen: list[int] = []
    with count_passes(network, seen):
        label(data, rows, network, tmp_path)
    assert seen == [300]
    assert content(tmp_path) == content(undisturbed)


KILLED = """
import os, signal, sys
from pathlib import Path
from components.shared.dataset import Dataset
from tests.soft_labels.test_labelling import build_network, label

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

dataset, store, when = sys.argv[1:]
data = Dataset.open(Path(dataset))
network = build_network(data)
if when == "labelling":
    passes = iter(range(9))
    network.register_forward_pre_hook(lambda *_: die() if next(passes) == 2 else None)
else:
    replace = Path.replace
    Path.replace = lambda path, target: die() if when in target.name else replace(path, target)
label(data, data.load("labelled", "unlabelled"), network, Path(store))
"""


@pytest.mark.parametrize(
    ("when", "whole", "passes"),
    [
        ("labelling", SHARDS[:2], [300, 100]),
        ("part-00001", SHARDS[:1], [300, 300, 100]),
        ("manifest", SHARDS, []),
    ],
    ids=["while the teacher runs", "while a shard is written", "while the manifest is written"],
)
def test_store_of_a_killed_run_is_continued_and_ends_the_same(
    digits: Path,
    data: Dataset,
    rows: Rows,
    network: Classifier,
    undisturbed: Path,
    tmp_path: Path,
    when: str,
    whole: list[str],
    passes: list[int],
) -> None:
    store = tmp_path / "store"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, digits, store, when],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert objects(store) == whole, "nothing half-written under a real name"
    with pytest.raises(UserError, match="labelling was not finished"):
        SoftLabels.read(
            LocalStorage(store),
            dataset_digest=data.manifest.digest,
            classes=data.manifest.classes,
        )
    seen: list[int] = []
    with count_passes(network, seen):
        label(data, rows, network, store)
    assert seen == passes
    assert content(store) == content(undisturbed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_logits_that_cannot_be_stored_name_the_row(
    data: Dataset, rows: Rows, tmp_path: Path, value: float
) -> None:
    broken = build_network(data)
    target = rows.inputs[417]

    def spoil(_: nn.Module, inputs: tuple[torch.Tensor], logits: torch.Tensor) -> torch.Tensor:
        is_target = (inputs[0] == torch.from_numpy(target)).flatten(1).all(1)
        return torch.where(is_target[:, None], value, logits)

    with (
        broken.register_forward_hook(spoil),
        pytest.raises(UserError, match=f"logits for row '{rows.ids[417]}' are not finite"),
    ):
        label(data, rows, broken, tmp_path)
    assert objects(tmp_path) == SHARDS[:1], "no manifest, so no store"
