"""Views of images, tables and texts, by seed and position of a row."""

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from scipy.stats import beta  # type: ignore[import-untyped]
from torch import Tensor

from components.shared.dataset import SPLITS
from components.shared.recipe import CategoricalColumn, TabularInput
from components.shared.recipe.augmentation import AugmentationSpec
from components.shared.soft_labels import Crop, Views
from components.shared.training.augmentation import (
    as_views,
    column_noise,
    mixed_view,
    partners_in_piece,
    random_bits,
    view_of,
)
from components.shared.training.augmentation.bits import stream
from components.shared.training.augmentation.images import replay_crop
from components.shared.training.augmentation.mixing import beta_quantiles, cut_boxes, mixed_up
from components.shared.training.augmentation.views import own_shares

_RANDOM = np.random.default_rng(0)
IMAGES = torch.from_numpy(_RANDOM.integers(-99, 99, (60, 2, 7, 9)).astype(np.float32)) / 32
TABLE = torch.from_numpy(_RANDOM.integers(-99, 99, (60, 4)).astype(np.float32)) / 32
TEXTS = torch.from_numpy(_RANDOM.integers(1, 50, (60, 12)).astype(np.float32))
POSITIONS = np.arange(60) * 7 + 2**33
BILINEAR = Crop(least=0.3, most=0.9, interpolation="bilinear")
NEAREST = Crop(least=0.3, most=0.9, interpolation="nearest")
KINDS: dict[str, tuple[Tensor, Views, str]] = {
    "flip": (IMAGES, Views(flip=True), "0d01f122a46c"),
    "bilinear": (IMAGES, Views(crop=BILINEAR), "e4b149818335"),
    "nearest": (IMAGES, Views(crop=NEAREST), "6987e85b072e"),
    "all of images": (IMAGES, Views(crop=BILINEAR, flip=True, shift=1, mixup=0.4), "36e51fa6697e"),
    "tokens": (TEXTS, Views(token_dropout=0.25), "2d1fb0e1d0a8"),
    "mixup": (TABLE, Views(noise=[0.5, 0, 1, 2], mixup=0.2, categories=[1]), "511405259704"),
    "cutmix": (IMAGES, Views(cutmix=1.0), "6d4e8b01e531"),
}


def seen(inputs: Tensor, positions: Any, views: Views, seed: int = 5) -> Tensor:
    """Mixed, where it is, with the row that is the next in the whole set."""
    if not views.mix:
        return view_of(inputs, positions, seed, views)
    everything = {id(one): one for one, _, _ in KINDS.values()}
    whole = next(one for one in everything.values() if one.shape[1:] == inputs.shape[1:])
    there = ((positions - POSITIONS[0]) // 7 + 1) % len(whole)
    return mixed_view(inputs, positions, whole[there], POSITIONS[there], seed, views)


@pytest.mark.parametrize("kind", KINDS)
def test_view_of_a_row_does_not_depend_on_its_batch_and_is_the_same_in_every_version(
    kind: str,
) -> None:
    inputs, views, golden = KINDS[kind]
    together = seen(inputs, POSITIONS, views)
    assert together.dtype == torch.float32
    assert not torch.equal(together, inputs)
    for rows in np.array_split(np.random.default_rng(1).permutation(60), 9):
        assert torch.equal(seen(inputs[rows], POSITIONS[rows], views), together[rows])
    assert not torch.equal(seen(inputs, POSITIONS, views, seed=6), together)
    found = hashlib.sha256(together.contiguous().numpy().tobytes()).hexdigest()
    assert found[:12] == golden, "stores hold labels of such rows"


def test_half_of_the_images_are_mirrored() -> None:
    images = torch.arange(6.0).reshape(1, 1, 2, 3).repeat(4000, 1, 1, 1)
    found = view_of(images, np.arange(4000), 1, Views(flip=True))
    kinds, counts = torch.unique(found, dim=0, return_counts=True)
    assert kinds.tolist() == [[[[0, 1, 2], [3, 4, 5]]], [[[2, 1, 0], [5, 4, 3]]]]
    assert abs(counts[0] - 2000) < 200


def test_crop_is_what_torch_samples_at_the_same_places() -> None:
    found = replay_crop(IMAGES, POSITIONS, 3, BILINEAR)
    share, y, x = (random_bits(3, POSITIONS, 3) >> np.uint64(32)).T / 2**32
    side = np.sqrt(0.3 + 0.6 * share)
    theta = np.zeros((60, 2, 3))
    theta[:, 0, 0] = theta[:, 1, 1] = side
    theta[:, 0, 2], theta[:, 1, 2] = (2 * x - 1) * (1 - side), (2 * y - 1) * (1 - side)
    grid = F.affine_grid(torch.from_numpy(theta).float(), list(IMAGES.shape), align_corners=False)
    expected = F.grid_sample(IMAGES, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    nearest = replay_crop(IMAGES, POSITIONS, 3, NEAREST)
    sampled = F.grid_sample(IMAGES, grid, "nearest", padding_mode="border", align_corners=False)
    assert (nearest == sampled).float().mean() > 0.999, "but for ties"


def test_whole_image_is_a_crop_that_changes_nothing() -> None:
    for interpolation in ("bilinear", "nearest"):
        whole = Crop(least=1, most=1, interpolation=interpolation)
        assert torch.equal(replay_crop(IMAGES, POSITIONS, 3, whole), IMAGES)


def test_tokens_go_with_the_given_probability_and_the_others_stay() -> None:
    texts = torch.arange(1.0, 41).repeat(2000, 1)
    found = view_of(texts, np.arange(2000), 1, Views(token_dropout=0.2))
    gone = found == 0
    assert torch.equal(found[~gone], texts[~gone])
    assert abs(gone.float().mean() - 0.2) < 0.006
    assert (gone.float().mean(dim=0) - 0.2).abs().max() < 0.05, "wherever they are"


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 3.0, 20.0])
def test_shares_are_those_of_the_beta_distribution(alpha: float) -> None:
    found = beta_quantiles(alpha)
    expected = beta.ppf((np.arange(1024) + 0.5) / 1024, alpha, alpha)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_array_equal(found, 1 - found[::-1])
    shares = own_shares((4,), np.arange(20_000), 3, Views(mixup=alpha))
    assert abs(shares.var() - 1 / (8 * alpha + 4)) < 0.005


def test_mixed_row_is_between_the_two_and_has_the_category_of_the_larger_share() -> None:
    others, views = TABLE.roll(1, 0), Views(mixup=1.0, categories=[2])
    found = mixed_view(TABLE, POSITIONS, others, POSITIONS, 5, views)
    share = torch.from_numpy(own_shares((4,), POSITIONS, 5, views)).float()[:, None]
    numbers = [0, 1, 3]
    expected = share * TABLE + (1 - share) * others
    torch.testing.assert_close(found[:, numbers], expected[:, numbers])
    assert torch.equal(found[:, [2]], torch.where(share < 0.5, others, TABLE)[:, [2]])
    assert 0 < share.min() < 0.5 < share.max() < 1


def test_missing_value_of_a_row_without_a_share_is_not_that_of_the_mixture() -> None:
    rows, others = (
        torch.tensor([[1.0], [torch.nan], [1.0]]),
        torch.tensor([[torch.nan], [2.0], [2.0]]),
    )
    found = mixed_up(rows, others, np.array([1.0, 0.0, 0.5]), [])
    assert found.flatten().tolist() == [1.0, 2.0, 1.5]


def test_share_of_a_cut_image_is_the_area_that_is_its_own() -> None:
    own, other = torch.zeros(500, 1, 7, 9), torch.ones(500, 1, 7, 9)
    positions, views = np.arange(500), Views(cutmix=1.0)
    found = mixed_view(own, positions, other, positions, 5, views)
    pasted = found.mean(dim=(1, 2, 3)).numpy()
    np.testing.assert_allclose(1 - pasted, own_shares((1, 7, 9), positions, 5, views), atol=1e-6)
    boxes = cut_boxes(positions, stream(5, 4), 1.0, 7, 9)
    rows = found[:, 0].amax(dim=2).sum(dim=1).numpy()
    np.testing.assert_array_equal(rows * (boxes.right > boxes.left), rows)
    inside = (boxes.top > 0) & (boxes.bottom < 7) & (boxes.left > 0) & (boxes.right < 9)
    drawn = beta_quantiles(1.0)[
        (random_bits(stream(5, 4), positions, 2)[:, 0] >> np.uint64(54)).astype(int)
    ]
    height, width = (2 * ((side * np.sqrt(1 - drawn)).astype(int) // 2) for side in (7, 9))
    np.testing.assert_allclose(pasted[inside], (height * width)[inside] / 63, atol=1e-6)
    assert inside.sum() > 50


def test_partner_is_of_the_same_split_whichever_splits_are_read() -> None:
    splits = np.random.default_rng(0).integers(0, len(SPLITS), 60).astype(np.int8)
    whole = partners_in_piece(POSITIONS, splits, 9)
    assert (splits[whole] == splits).all()
    assert len(np.unique(whole)) > 30
    for chosen in ([0], [0, 1]):
        read = np.flatnonzero(np.isin(splits, chosen))
        part = partners_in_piece(POSITIONS[read], splits[read], 9)
        np.testing.assert_array_equal(read[part], whole[read])


def test_noise_and_mixtures_leave_categories_alone() -> None:
    rows = TabularInput(columns=["a", CategoricalColumn(name="b", kind="categorical"), "c"])
    noise = column_noise(0.1, rows, [1.0, 5.0, 123.456])
    assert noise == [0.1, 0.0, 12.35]
    views = as_views(AugmentationSpec(noise=0.1, mixup=0.3), rows, noise)
    assert (views.categories, views.mixup, views.seeds) == ([1], 0.3, [])


def test_description_of_views_of_earlier_versions_is_still_the_same() -> None:
    assert Views(seeds=[1], shift=2).model_dump() == {"seeds": [1], "shift": 2, "noise": []}
    assert Views(seeds=[1], flip=True).model_dump()["flip"]
