"""Drift of the training rows from those that the champion was trained on."""

import numpy as np
import pytest

from components.data_validation.drift.distances import stability_index, total_variation
from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.files import write_atomically
from components.shared.recipe import ValidationSpec
from components.shared.recipe.validation import DriftSpec
from components.shared.records import read_record
from components.shared.results.profile import DATA_PROFILE, DataProfile


def counts(*values):
    return np.asarray(values, dtype=np.float64)


def test_stability_index_is_that_of_the_textbook_for_large_samples():
    before, now = counts(1e6, 2e6, 7e6), counts(2e6, 2e6, 6e6)
    expected = (0.1 - 0.2) * np.log(0.1 / 0.2) + (0.7 - 0.6) * np.log(0.7 / 0.6)
    assert stability_index(before, now).value == pytest.approx(expected, abs=1e-5)
    assert stability_index(before, now).p_value == 0
    assert total_variation(before, now).value == pytest.approx(0.1)


def test_chance_alone_gives_about_zero_and_seldom_a_small_p_value():
    generator = np.random.default_rng(0)
    found = [
        stability_index(
            counts(*generator.multinomial(200, [0.1] * 10)),
            counts(*generator.multinomial(150, [0.1] * 10)),
        )
        for _ in range(500)
    ]
    assert np.median([distance.value for distance in found]) < 0.01
    assert np.mean([distance.p_value < 0.05 for distance in found]) == pytest.approx(0.05, abs=0.03)


def test_part_that_was_empty_before_is_no_infinity():
    assert 0.2 < stability_index(counts(1000, 0), counts(900, 100)).value < 2


def make(tmp_path, spec, write, name, count, shift=0.0, third=0.33, seed=0):
    """A data set of ``count`` rows; ``a`` is moved by ``shift`` standard deviations."""
    generator = np.random.default_rng(seed)
    columns = {
        "id": [f"{name}{row}" for row in range(count)],
        "a": generator.normal(shift, size=count).tolist(),
        "b": generator.normal(size=count).tolist(),
        "label": generator.choice(["x", "y", "z"], count, p=[third, 0.67 - third, 0.33]).tolist(),
    }
    given = spec(write(columns, f"{name}.parquet"), split={"by": "random", "test": 0.2})
    resolve(given, tmp_path / name)
    return tmp_path / name


def compare(tmp_path, before, now, **fields):
    limits = ValidationSpec(min_rows=5, min_rows_per_class=1, **{"drift": DriftSpec(), **fields})
    champion = tmp_path / "champion"
    if not champion.exists():
        validate(before, limits, tmp_path / "before", tmp_path / "docs")
        profile = (tmp_path / "before" / DATA_PROFILE).read_bytes()
        write_atomically(champion / DATA_PROFILE, profile)
    return validate(now, limits, tmp_path / "now", tmp_path / "docs", champion=champion)


def test_moved_column_and_classes_are_warned_of_and_the_same_data_are_not(tmp_path, spec, write):
    before = make(tmp_path, spec, write, "before-data", 2000)
    same = make(tmp_path, spec, write, "same", 1500, seed=1)
    moved = make(tmp_path, spec, write, "moved", 1500, shift=1.0, third=0.6, seed=2)

    assert not compare(tmp_path, before, same).warnings
    warnings = {found.name: found.message for found in compare(tmp_path, before, moved).warnings}
    assert "1 of 2 columns moved" in warnings["drift_of_columns"]
    assert "over 0.2: 'a' (" in warnings["drift_of_columns"]
    assert "the class shares moved by 2" in warnings["drift_of_classes"]
    record = read_record(tmp_path / "now" / DATA_PROFILE, DataProfile, "data profile")
    assert [column.name for column in record.columns] == ["a", "b"]
    assert record.rows == record.sampled == sum(record.columns[0].counts) == 1200
    assert sum(record.classes.values()) == 1200


def test_small_samples_do_not_cry_wolf(tmp_path, spec, write):
    before = make(tmp_path, spec, write, "before-data", 60)
    now = make(tmp_path, spec, write, "now-data", 60, seed=3)
    result = compare(tmp_path, before, now, max_test_overlap=1)
    assert not [found for found in result.warnings if found.name.startswith("drift")]


def test_champion_without_a_profile_is_noted(tmp_path, spec, write):
    now = make(tmp_path, spec, write, "now-data", 60)
    (tmp_path / "champion").mkdir()
    result = compare(tmp_path, now, now)
    assert result.notes[0].startswith("drift: not looked at, since there is no champion with a")
