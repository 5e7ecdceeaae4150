"""Labelling digits with a real network: what is stored, and what a restart does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from components.shared.bundle import load_network
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.pieces import pieces_of
from components.shared.soft_labels import MANIFEST, SoftLabelWriter
from components.shared.storage import LocalStorage
from components.shared.training.augmentation import replay_view
from components.soft_labels.batching import BatchedTeacher
from components.soft_labels.labelling import Numbered, label_pieces
from components.soft_labels.teachers.bundle import BundleTeacher
from components.soft_labels.teachers.checking import UnusableRowError
from tests.soft_labels.digit_labels import (
    ROWS,
    SHARD_ROWS,
    SHARDS,
    Labelling,
    content,
    objects,
    write_teacher,
)

Events = Callable[[], dict[str, dict[str, Any]]]
Refused = Callable[..., str]


def network_logits(labelling: Labelling, inputs: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    with torch.inference_mode():
        found: npt.NDArray[Any] = labelling.network(torch.from_numpy(inputs)).numpy()
    return found


def test_stored_logits_are_the_networks_to_float16(labelling: Labelling, undisturbed: Path) -> None:
    rows = labelling.data.load("labelled", "unlabelled", "test")
    stored = labelling.open(undisturbed).logits(rows.ids)
    # Half a unit in the last of 11 bits; the rest is the order of sums in other batches.
    expected = network_logits(labelling, rows.inputs)
    np.testing.assert_allclose(stored, expected, rtol=2**-11 * 1.01, atol=1e-6)
    assert stored.std() > 0.01


def test_shards_hold_the_rows_of_all_splits_in_order(
    labelling: Labelling, undisturbed: Path
) -> None:
    store = labelling.open(undisturbed)
    assert [shard.rows for shard in store.shards] == [500, 500, 500, 297]
    assert objects(undisturbed) == [MANIFEST, *SHARDS]
    ids = [name for index in range(4) for name in store.labels(index).ids.to_pylist()]
    assert ids == labelling.data.load("labelled", "unlabelled", "test").ids


def test_accuracy_is_counted_on_labelled_rows_and_not_on_test_rows(
    labelling: Labelling, undisturbed: Path
) -> None:
    rows = labelling.data.load("labelled")
    right = network_logits(labelling, rows.inputs).argmax(axis=1) == rows.labels
    manifest = labelling.open(undisturbed).manifest
    assert (manifest.labelled, manifest.accuracy) == (len(rows), right.mean())


def test_progress_counts_every_row(labelling: Labelling, tmp_path: Path, events: Events) -> None:
    labelling.generate(tmp_path)
    last = events()["progress"]
    assert (last["activity"], last["done"], last["total"]) == ("labelling", ROWS, ROWS)


@pytest.mark.parametrize(
    ("lost", "rows"),
    [
        ([], 0),
        ([MANIFEST], 0),
        ([MANIFEST, SHARDS[1]], 500),
        ([SHARDS[2], SHARDS[3]], 797),
        ([MANIFEST, *SHARDS], ROWS),
    ],
)
def test_restart_runs_the_teacher_for_what_is_missing_alone(
    labelling: Labelling,
    undisturbed: Path,
    tmp_path: Path,
    events: Events,
    lost: list[str],
    rows: int,
) -> None:
    for name in set(objects(undisturbed)) - set(lost):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    labelling.generate(tmp_path)
    assert events()["labelled"]["rows"] == rows
    assert content(tmp_path) == content(undisturbed)


@pytest.mark.parametrize("damage", ["cut off", "empty", "flipped", "other rows", "other teacher"])
def test_restart_replaces_a_shard_that_is_not_the_right_one(
    labelling: Labelling, undisturbed: Path, tmp_path: Path, events: Events, damage: str
) -> None:
    store = tmp_path / "store"
    labelling.generate(store)
    shard = store / SHARDS[1]
    whole = shard.read_bytes()
    if damage == "other teacher":
        digest = write_teacher(tmp_path / "teacher", labelling.data, seed=1)
        Labelling(labelling.dataset, tmp_path / "teacher", digest).generate(tmp_path / "other")
        shard.write_bytes((tmp_path / "other" / SHARDS[1]).read_bytes())
    else:
        shard.write_bytes(
            {
                "cut off": whole[:-100],
                "empty": b"",
                "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
                "other rows": (store / SHARDS[2]).read_bytes(),
            }[damage]
        )
    events()
    labelling.generate(store)
    assert events()["labelled"]["rows"] == SHARD_ROWS
    assert content(store) == content(undisturbed)


def test_views_are_labelled_as_the_trainer_will_see_them(
    labelling: Labelling, tmp_path: Path
) -> None:
    labelling.generate(tmp_path, views={"count": 3, "shift": 2, "seed": 5})
    store = labelling.open(tmp_path)
    shard = store.labels(1)
    rows = next(
        labelling.data.read_pieces(
            [pieces_of(labelling.data.manifest, SHARD_ROWS)[1]], "labelled", "unlabelled", "test"
        )
    )
    assert store.identity.views.seeds == [6, 7]
    for view in range(3):
        shown = replay_view(
            torch.from_numpy(rows.inputs), rows.positions, view, store.identity.views
        )
        expected = network_logits(labelling, shown.numpy())
        np.testing.assert_allclose(
            shard.of(rows.names)[:, view], expected, rtol=2**-11 * 1.01, atol=1e-6
        )


def test_largest_logits_are_kept_where_the_recipe_says_so(
    labelling: Labelling, tmp_path: Path
) -> None:
    labelling.generate(tmp_path, representation="topk", k=3)
    rows = labelling.data.load("labelled", "unlabelled", "test")
    exact = network_logits(labelling, rows.inputs)
    stored = labelling.open(tmp_path).logits(rows.ids)
    top = np.argsort(-exact, axis=1)[:, :3]
    np.testing.assert_allclose(
        np.take_along_axis(stored, top, 1), np.take_along_axis(exact, top, 1), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(np.exp(stored).sum(axis=1), np.exp(exact).sum(axis=1), rtol=2e-3)


def test_teacher_whose_logits_cannot_be_stored_is_refused_with_a_row(
    labelling: Labelling, tmp_path: Path, refused: Refused
) -> None:
    digest = write_teacher(tmp_path / "teacher", labelling.data, scale=1e7)
    broken = Labelling(labelling.dataset, tmp_path / "teacher", digest)
    message = refused(broken.generate, tmp_path / "store")
    assert re.search(r"row \d \(id 'digits-0000\d'\): the teacher's logits are not finite", message)
    assert not (tmp_path / "store" / MANIFEST).exists()


class ReluctantTeacher(BundleTeacher):
    """Has no answer for one row."""

    def __init__(self, folder: Path, row: npt.NDArray[np.float32], complain: bool) -> None:
        super().__init__(*load_network(folder))
        self.row, self.complain = row, complain

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found = super().logits(inputs).copy()
        there = (inputs == self.row).all(axis=(1, 2, 3))
        if there.any() and self.complain:
            raise UnusableRowError(int(there.argmax()), "the teacher gives no probabilities for it")
        found[there] = np.nan
        return found


@pytest.mark.parametrize(
    ("complain", "message"),
    [
        (False, "the teacher's logits are not finite in float16"),
        (True, "the teacher gives no probabilities for it"),
    ],
)
@pytest.mark.parametrize(
    ("sensitive", "row_name"), [([], "row 917 (id 'digits-00917')"), (["id"], "row 917")]
)
def test_row_without_a_usable_answer_is_named_and_shards_before_it_are_kept(
    labelling: Labelling,
    undisturbed: Path,
    tmp_path: Path,
    complain: bool,
    message: str,
    sensitive: list[str],
    row_name: str,
) -> None:
    manifest = labelling.data.manifest.model_copy(update={"sensitive": sensitive})
    data = Dataset(labelling.dataset, manifest)
    rows = data.load("labelled", "unlabelled", "test")
    row = rows.inputs[rows.ids.index("digits-00917")]
    teacher = BatchedTeacher(ReluctantTeacher(labelling.teacher, row, complain), rows=100)
    identity = labelling.open(undisturbed).identity
    with pytest.raises(UserError, match=re.escape(f": {row_name}: {message}")):
        label_pieces(
            [Numbered(*each) for each in enumerate(pieces_of(data.manifest, SHARD_ROWS))],
            data,
            teacher,
            identity.classes,
            identity.views,
            SoftLabelWriter(LocalStorage(tmp_path), identity),
        )
    assert objects(tmp_path) == SHARDS[:1], "no manifest, so no store"
