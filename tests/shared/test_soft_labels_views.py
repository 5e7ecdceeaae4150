"""Views of rows are the same for teacher and trainer, in whatever batch a row is."""

import numpy as np
import pytest
import torch

from components.shared.soft_labels import Views
from components.shared.training.augmentation import random_bits, random_shift, replay_view

IMAGES = torch.arange(50 * 2 * 5 * 6, dtype=torch.float32).reshape(50, 2, 5, 6) + 1
TABLE = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
POSITIONS = np.arange(50) * 7 + 2**33
SHIFTS = Views(seeds=[11, 12], shift=2)
NOISE = Views(seeds=[11, 12], noise=[0.5, 0.0, 10.0])
GOLDEN_BITS = [16056628240286480617, 1610036449582822964, 17347730799897784040]
GOLDEN_NOISE = [
    [-0.4963630139827728, 0.0, 10.98098373413086],
    [-0.46393463015556335, 0.0, -18.451932907104492],
]


@pytest.mark.parametrize(("inputs", "views"), [(IMAGES, SHIFTS), (TABLE, NOISE)])
def test_view_of_a_row_does_not_depend_on_its_batch(inputs: torch.Tensor, views: Views) -> None:
    together = [replay_view(inputs, POSITIONS, view, views) for view in range(3)]
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    for view, expected in enumerate(together):
        for rows in order.split(7):
            found = replay_view(inputs[rows], POSITIONS[rows.numpy()], view, views)
            assert torch.equal(found, expected[rows])


@pytest.mark.parametrize(("inputs", "views"), [(IMAGES, SHIFTS), (TABLE, NOISE)])
def test_first_view_is_the_plain_row_and_the_others_differ(
    inputs: torch.Tensor, views: Views
) -> None:
    plain, first, second = (replay_view(inputs, POSITIONS, view, views) for view in range(3))
    assert plain is inputs
    assert not torch.equal(first, inputs)
    assert not torch.equal(first, second)


def test_shifts_are_every_one_of_those_that_are_allowed_and_no_other() -> None:
    image = torch.arange(1, 31, dtype=torch.float32).reshape(1, 1, 5, 6)
    found = replay_view(image.repeat(4000, 1, 1, 1), np.arange(4000), 1, Views(seeds=[0], shift=1))
    generator = torch.Generator().manual_seed(0)
    allowed = random_shift(image.repeat(4000, 1, 1, 1), 1, generator)
    kinds, counts = torch.unique(found, dim=0, return_counts=True)
    assert torch.equal(kinds, torch.unique(allowed, dim=0))
    assert len(kinds) == 9
    assert counts.min() > 4000 / 9 * 0.8


def test_noise_has_the_columns_own_scale() -> None:
    rows = torch.zeros(100_000, 3)
    noise = replay_view(rows, np.arange(100_000), 1, NOISE)
    np.testing.assert_allclose(noise.std(dim=0), [0.5, 0, 10], rtol=0.01)
    np.testing.assert_allclose(noise.mean(dim=0), [0, 0, 0], atol=0.1)
    within_one = (noise[:, 0].abs() < 0.5).float().mean()
    assert abs(within_one - 0.683) < 0.02, "nearly normal"


def test_noise_leaves_missing_values_missing() -> None:
    rows = torch.tensor([[1.0, torch.nan, 2.0]])
    assert replay_view(rows, np.asarray([3]), 1, NOISE).isnan().tolist() == [[False, True, False]]


def test_views_are_the_same_in_every_version() -> None:
    """Stores hold labels of views: where their rows change, the store's format has to."""
    assert random_bits(11, np.asarray([0, 1, 2**40])).tolist() == GOLDEN_BITS
    noise = replay_view(torch.zeros(2, 3), np.asarray([5, 6]), 1, NOISE)
    np.testing.assert_array_equal(noise.numpy(), np.asarray(GOLDEN_NOISE, np.float32))


def test_bits_of_rows_columns_and_seeds_are_unrelated() -> None:
    bits = random_bits(0, np.arange(1000), 4)
    others = random_bits(1, np.arange(1000), 4)
    assert len(np.unique(np.concatenate([bits.ravel(), others.ravel()]))) == 8000
    ones = np.unpackbits(bits.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 0.005
