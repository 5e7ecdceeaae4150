"""Labels that outlive a run: workers share them out, and later runs find them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.shared.soft_labels import MANIFEST
from tests.soft_labels.digit_labels import ROWS, SHARDS, Labelling, content, objects, write_teacher

Events = Callable[[], dict[str, dict[str, Any]]]
Refused = Callable[..., str]


def test_workers_share_the_shards_and_the_store_is_that_of_one_alone(
    labelling: Labelling, undisturbed: Path, tmp_path: Path, events: Events
) -> None:
    storage = tmp_path / "storage"
    rows = [labelling.work(worker, storage, workers=3) for worker in range(3)]
    assert sum(rows) == ROWS
    assert all(rows)
    manifest = labelling.generate(tmp_path / "artifact", storage, workers=3)
    assert events()["labelled"]["rows"] == 0, "nothing was left to do"
    store = storage / "soft-labels" / manifest.identity.digest
    assert content(store) == content(undisturbed)
    assert objects(tmp_path / "artifact") == [MANIFEST]
    assert manifest.location == str(store)


def test_what_a_lost_worker_leaves_is_labelled_when_the_store_is_sealed(
    labelling: Labelling, undisturbed: Path, tmp_path: Path
) -> None:
    labelling.work(1, tmp_path / "storage", workers=2)
    manifest = labelling.generate(tmp_path / "artifact", tmp_path / "storage", workers=2)
    assert content(Path(str(manifest.location))) == content(undisturbed)


def test_next_run_takes_labels_over_without_the_teacher(
    labelling: Labelling, tmp_path: Path, events: Events
) -> None:
    storage = tmp_path / "storage"
    first = labelling.generate(tmp_path / "first", storage)
    assert events()["labelled"]["rows"] == ROWS
    second = labelling.generate(tmp_path / "second", storage)
    assert events()["labelled"]["rows"] == 0
    assert first == second
    rows = labelling.data.load("labelled", "unlabelled")
    assert labelling.open(tmp_path / "second").logits(rows.names).shape == (1000, 10)


def test_damage_to_labels_of_an_earlier_run_is_repaired(
    labelling: Labelling, undisturbed: Path, tmp_path: Path, events: Events
) -> None:
    storage = tmp_path / "storage"
    manifest = labelling.generate(tmp_path / "first", storage)
    shard = Path(str(manifest.location)) / SHARDS[2]
    shard.write_bytes(shard.read_bytes()[:-2])
    events()
    labelling.generate(tmp_path / "second", storage)
    assert events()["labelled"]["rows"] == 500
    assert content(shard.parent) == content(undisturbed)


def test_another_teacher_or_way_of_labelling_has_a_store_of_its_own(
    labelling: Labelling, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    digest = write_teacher(tmp_path / "teacher", labelling.data, seed=1)
    other = Labelling(labelling.dataset, tmp_path / "teacher", digest)
    manifests = [
        labelling.generate(tmp_path / "a", storage),
        other.generate(tmp_path / "b", storage),
        labelling.generate(tmp_path / "c", storage, representation="topk", k=2),
        labelling.generate(tmp_path / "d", storage, views={"count": 2, "shift": 1}),
        labelling.generate(tmp_path / "e", storage, views={"count": 2, "shift": 1, "seed": 1}),
    ]
    assert len({manifest.location for manifest in manifests}) == 5


def test_several_workers_need_a_place_that_all_see(
    labelling: Labelling, tmp_path: Path, refused: Refused
) -> None:
    message = refused(labelling.generate, tmp_path / "artifact", "", workers=2)
    assert "labelling.workers is 2, but storage is empty" in message
    assert "storage is empty" in refused(labelling.work, 0, "")


def test_teacher_below_the_least_accuracy_is_refused_and_nothing_is_sealed(
    labelling: Labelling, tmp_path: Path, refused: Refused, undisturbed: Path
) -> None:
    found = labelling.open(undisturbed).manifest.accuracy
    message = refused(labelling.generate, tmp_path, min_accuracy=0.9)
    assert f"right in {found:.4f} of the 100 labelled rows" in message
    assert "labelling.min_accuracy, 0.9" in message
    assert objects(tmp_path) == SHARDS


def test_labels_of_an_earlier_run_are_no_way_around_the_least_accuracy(
    labelling: Labelling, tmp_path: Path, refused: Refused, events: Events
) -> None:
    storage = tmp_path / "storage"
    labelling.generate(tmp_path / "lenient", storage)
    refused(labelling.generate, tmp_path / "strict", storage, min_accuracy=0.9)
    assert not (tmp_path / "strict" / MANIFEST).exists()


def test_accuracy_is_reported_whoever_labelled(
    labelling: Labelling, tmp_path: Path, events: Events
) -> None:
    storage = tmp_path / "storage"
    labelling.generate(tmp_path / "first", storage)
    first = events()["teacher_accuracy"]
    labelling.generate(tmp_path / "second", storage)
    second = events()["teacher_accuracy"]
    assert (first["accuracy"], first["rows"]) == (second["accuracy"], second["rows"])
    assert first["rows"] == 100


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"views": {"count": 2, "noise": 0.1}}, "labelling.views.noise is for tables, but the "),
        ({"views": {"count": 2}}, "count is more than 1, but all views are the same"),
        ({"views": {"shift": 2}}, "shift needs a count of 2 or more"),
        ({"representation": "topk", "k": 10}, "labelling.k: 10 of 10 classes leave none out"),
        ({"representation": "top"}, "labelling.representation: "),
    ],
)
def test_section_that_does_not_fit_is_refused(
    labelling: Labelling, tmp_path: Path, refused: Refused, section: Any, message: str
) -> None:
    assert message in refused(labelling.generate, tmp_path / "store", **section)
    assert not (tmp_path / "store").exists()


def test_numbers_as_kfp_carries_them_are_the_same_store(
    labelling: Labelling, undisturbed: Path, tmp_path: Path
) -> None:
    labelling.generate(tmp_path, shard_rows=500.0, workers=1.0)
    assert content(tmp_path) == content(undisturbed)


def test_store_that_was_moved_is_not_found(labelling: Labelling, tmp_path: Path) -> None:
    manifest = labelling.generate(tmp_path / "artifact", tmp_path / "storage")
    shutil.move(str(manifest.location), tmp_path / "elsewhere")
    store = labelling.open(tmp_path / "artifact")
    with pytest.raises(Exception, match="this soft-label shard is missing; label again"):
        store.labels(0)
    np.testing.assert_array_equal(store.manifest.rows, ROWS)
