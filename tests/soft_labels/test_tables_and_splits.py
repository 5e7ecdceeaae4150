"""Labelling tables with noisy views, and data of which some rows are in no split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from components.data_validation.resolve import resolve
from components.shared.bundle import load_network
from components.shared.dataset import SPLITS, Dataset
from components.shared.errors import UserError
from components.shared.recipe import RandomSplit, Recipe
from components.shared.recipe.labelling import LabellingSpec
from components.shared.soft_labels import SoftLabels
from components.shared.training.augmentation import replay_view
from components.soft_labels.job import noise_scale
from tests.data_faults.labelling_data import label, prepare
from tests.datasets import BY_COLUMN, ROWS, table, write_dataset
from tests.soft_labels.digit_labels import Labelling, write_teacher


def test_noisy_views_are_in_the_columns_own_units_and_are_labelled(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "prepared", rows=3_000, file_rows=2_000)
    label(prepared, tmp_path / "store", views={"count": 2, "noise": 0.5}, shard_rows=700)
    data = Dataset.open(prepared.dataset)
    store = SoftLabels.open(
        tmp_path / "store",
        dataset_digest=prepared.dataset_digest,
        classes=data.manifest.classes,
    )
    training = data.load("labelled", "unlabelled").inputs
    views = store.identity.views
    np.testing.assert_allclose(views.noise, training.std(axis=0) / 2, rtol=1e-3)
    rows = data.load(*SPLITS)
    shown = replay_view(torch.from_numpy(rows.inputs), rows.positions, 1, views)
    with torch.inference_mode():
        expected = load_network(prepared.teacher)[1](shown).numpy()
    shards = [store.labels(index) for index in range(len(store.shards))]
    assert [len(shard.ids) for shard in shards] == [700, 700, 600, 700, 300]
    found = np.concatenate([shard.of(shard.ids)[:, 1] for shard in shards])
    np.testing.assert_allclose(found, expected, rtol=2**-11 * 1.01, atol=1e-6)


@pytest.fixture
def partly_used(tmp_path: Path, digits_recipe: Recipe) -> Labelling:
    """Digits of which 350 are in a split."""
    split = RandomSplit(by="random", labelled=50, unlabelled=200, test=100, seed=0)
    resolve(digits_recipe.data.model_copy(update={"split": split}), tmp_path / "dataset")
    digest = write_teacher(tmp_path / "teacher", Dataset.open(tmp_path / "dataset"))
    return Labelling(tmp_path / "dataset", tmp_path / "teacher", digest)


def test_rows_in_no_split_are_not_labelled_and_a_restart_does_not_look_for_them(
    partly_used: Labelling, tmp_path: Path, events: Callable[[], dict[str, dict[str, Any]]]
) -> None:
    manifest = partly_used.generate(tmp_path / "store")
    assert (manifest.rows, manifest.labelled) == (350, 50)
    rows = partly_used.data.load(*SPLITS)
    assert partly_used.open(tmp_path / "store").logits(rows.names).shape == (350, 10)
    events()
    assert partly_used.generate(tmp_path / "store") == manifest
    assert events()["labelled"]["rows"] == 0


def test_noise_without_training_rows_to_take_its_scale_from_is_refused(tmp_path: Path) -> None:
    rows = table().set_column(4, "fold", pa.array(["test"] * ROWS))
    data = write_dataset(tmp_path / "data", rows, split=BY_COLUMN)
    with pytest.raises(UserError, match="there are no training rows to take its scale from"):
        noise_scale(data, LabellingSpec(views={"count": 2, "noise": 0.1}))
