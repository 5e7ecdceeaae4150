"""Coverage of the test rows by the transfer pool."""

import numpy as np
import pytest

from components.data_validation.coverage.distances import coverage
from components.shared.recipe.inputs import ImageInput, TabularInput

SPEC = TabularInput(
    columns=["a", "b", "c", {"name": "d", "kind": "categorical", "categories": ["p", "q"]}]
)


def rows(count, seed, centre=0.0, codes=2):
    generator = np.random.default_rng(seed)
    numbers = generator.normal(centre, size=(count, 3))
    kinds = generator.integers(0, codes, size=(count, 1))
    return np.concatenate([numbers, kinds], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_the_same_kind_are_covered(seed):
    found = coverage(rows(1500, seed), rows(800, 100 + seed), SPEC, 4)
    assert found.share < 0.03
    assert found.surely < 0.02


def test_rows_of_a_region_that_the_pool_has_not_are_not_covered():
    test = np.concatenate([rows(800, 1), rows(200, 2, centre=8)])
    found = coverage(rows(1500, 0), test, SPEC, 4)
    assert found.share == pytest.approx(0.21, abs=0.02)
    assert found.surely > 0.15


def test_copies_in_the_pool_change_nothing():
    pool, test = rows(700, 0), np.concatenate([rows(400, 1), rows(100, 2, centre=8)])
    once, twice = (coverage(given, test, SPEC, 4) for given in (pool, np.repeat(pool, 2, axis=0)))
    assert twice.uncovered == once.uncovered
    assert once.share == pytest.approx(0.21, abs=0.03)


def test_few_distant_rows_of_a_pool_of_counts_do_not_hide_what_is_not_covered():
    """Of counts most rows are copies, and a few that lie apart are many of those that differ."""
    generator = np.random.default_rng(0)
    counts = generator.poisson(3, size=(3500, 2)).astype(np.float32)
    pool, test = np.zeros((2000, 4), np.float32), np.zeros((1500, 4), np.float32)
    pool[:, :2], test[:, :2] = counts[:2000], counts[2000:]
    pool[:10, :2] += 40 * np.arange(1, 11, dtype=np.float32)[:, None]
    test[:500, :2] += 15
    assert coverage(pool, test, SPEC, 4).share == pytest.approx(1 / 3, abs=0.03)


def test_pool_of_one_row_in_many_copies_covers_that_row_alone():
    pool = np.repeat(rows(1, 0), 60, axis=0)
    assert coverage(pool, np.concatenate([pool[:30], rows(30, 1)]), SPEC, 4).uncovered == 30


def test_constant_column_that_varies_among_test_rows_and_missing_values_are_taken():
    pool, test = rows(500, 0), rows(300, 1)
    pool[:, 2], test[:150, 2] = 1, 1
    test[150:, 2] = 9
    pool[:50, 0] = np.nan
    assert coverage(pool, test, SPEC, 4).share == pytest.approx(0.5, abs=0.03)


def test_few_test_rows_prove_little():
    found = coverage(rows(200, 0), np.concatenate([rows(19, 1), rows(1, 2, centre=9)]), SPEC, 4)
    assert found.share == 0.05
    assert found.surely < 0.01
    assert coverage(rows(49, 0), rows(100, 1), SPEC, 4) is None


def test_images_are_placed_by_all_but_their_figures():
    pool = np.random.default_rng(0).normal(size=(400, 4 + 16)).astype(np.float32)
    test = np.random.default_rng(1).normal(size=(200, 4 + 16)).astype(np.float32)
    test[:, :4] = 1000
    given = ImageInput(kind="image", size=[1, 4, 4])
    assert coverage(pool, test, given, 4).share < 0.05
