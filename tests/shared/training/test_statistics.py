"""Mean and standard deviation of training rows."""

import numpy as np
import pytest
import torch

from components.shared.training.statistics import standardisation, streamed_standardisation


def test_rows_are_standardised_by_column_or_channel() -> None:
    table = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    found = standardisation(table)
    assert (found.mean, found.std) == ([2.0, 5.0], [1.0, 1.0]), "a constant column is divided by 1"
    images = torch.rand(50, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 255
    found = standardisation(images)
    np.testing.assert_allclose(found.mean, images.numpy().mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.std, images.numpy().std(axis=(0, 2, 3)), rtol=1e-5)


def test_missing_values_are_left_out() -> None:
    nan = float("nan")
    found = standardisation(torch.tensor([[1.0, nan, nan], [3.0, 7.0, nan], [nan, 7.0, nan]]))
    assert (found.mean, found.std) == ([2.0, 7.0, 0.0], [1.0, 1.0, 1.0])


@pytest.mark.parametrize("shape", [(900, 4), (900, 3, 2, 2)])
def test_rows_in_parts_have_the_values_of_all_at_once(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(1e4, 3, shape).astype(np.float32)
    whole = standardisation(torch.from_numpy(values))
    parts = streamed_standardisation(np.split(values, [1, 1, 200, 650]))
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-7)
    np.testing.assert_allclose(parts.std, whole.std, rtol=1e-6)
