import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.compression.sampling import random_rows


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**31))
def test_sample_is_without_repetition(total: int, rows: int, seed: int) -> None:
    inputs = np.arange(total, dtype=np.float32)[:, None]
    sample = random_rows(inputs, rows, seed)
    assert len(sample) == min(rows, total)
    assert len(np.unique(sample)) == len(sample)
    np.testing.assert_array_equal(sample, random_rows(inputs, rows, seed))


def test_sample_is_drawn_from_the_whole_pool_and_follows_the_seed() -> None:
    inputs = np.arange(1000, dtype=np.float32)[:, None]
    first, second = (random_rows(inputs, 100, seed) for seed in (0, 1))
    assert first.max() > 900
    assert not np.array_equal(first, second)
