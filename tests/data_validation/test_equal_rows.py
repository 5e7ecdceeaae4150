"""Rows that are equal to others, found by hashes in files."""

import numpy as np
import pytest

from components.data_validation.scan import keys
from components.data_validation.scan.hashing import feature_hashes, number_hashes, text_hashes
from components.data_validation.scan.keys import KeyTable, Tickets, tickets


def test_equal_rows_have_equal_hashes_and_others_do_not():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(50_000, 3)).astype(np.float32)
    values[1], values[2, 0], values[3] = values[0], -0.0, values[2]
    values[3, 0] = 0.0
    exact, second, _ = feature_hashes(values)
    assert exact[0] == exact[1]
    assert second[2] == second[3]
    assert len(np.unique(exact)) == len(np.unique(second)) == len(values) - 2


def test_columns_that_are_swapped_are_other_features():
    exact, _, near = feature_hashes(np.asarray([[1, 2], [2, 1]], dtype=np.float32))
    assert exact[0] != exact[1]
    assert near[0] != near[1]


def test_rows_are_near_to_five_digits_and_not_to_four():
    row = np.asarray([[1.2345678, 1000.5, -3e-7]], dtype=np.float32)
    exact, _, near = feature_hashes(np.concatenate([row, row * (1 + 1e-7), row * 1.0001]))
    assert exact[0] != exact[1]
    assert near[0] == near[1]
    assert near[0] != near[2]


def test_ids_are_hashed_as_what_they_are():
    numbers = number_hashes(np.arange(-50_000, 50_000))
    texts = text_hashes(np.asarray([f"r{row}" for row in range(50_000)], dtype=object))
    for words in (*numbers, *texts):
        assert len(np.unique(words)) == len(words)


def test_ticket_says_which_row_it_is():
    positions, labels = np.asarray([0, 2**40 - 1]), np.asarray([-1, 2**22 - 2])
    found = Tickets(tickets(positions, np.asarray([0, 2]), labels))
    assert found.positions.tolist() == positions.tolist()
    assert found.splits.tolist() == [0, 2]
    assert found.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("rows_of_a_file", [2**18, 64])
def test_table_finds_all_equal_keys_in_any_number_of_files(tmp_path, monkeypatch, rows_of_a_file):
    monkeypatch.setattr(keys, "_ROWS_OF_A_FILE", rows_of_a_file)
    generator = np.random.default_rng(0)
    first = generator.integers(0, 2**63, 1000, dtype=np.uint64) * np.uint64(2)
    first[700:750] = first[:50]
    rows = np.arange(1000, dtype=np.uint64)
    with KeyTable(tmp_path, "keys", 2, 1000) as table:
        for start in range(0, 1000, 100):
            table.add(first[start : start + 100], rows[start : start + 100])
        found = np.concatenate(list(table.equals()))
    assert sorted(found[:, 1].tolist()) == [*range(50), *range(700, 750)]
    assert (found[::2, 0] == found[1::2, 0]).all()


def test_conflicting_row_is_named_with_one_that_has_another_label(check, columns):
    """Rows 1 and 4 agree, as do 2 and 5; each has two of the other label."""
    data = {**columns, "label": ["x", "y", "z"] * 20}
    for name in ("a", "b"):
        data[name] = [
            data[name][1] if row in (1, 2, 4, 5) else data[name][row] for row in range(60)
        ]
    split = ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20
    (warning,) = check({**data, "split": split}, split={"by": "column"}).warnings[:1]
    assert warning.message.startswith(
        "4 rows with the features of a row that has another label: "
        "id 'r1' (y) and id 'r2' (z), id 'r2' (z) and id 'r1' (y), "
        "id 'r4' (y) and id 'r2' (z), id 'r5' (z) and id 'r1' (y)"
    )


def test_nearly_copied_rows_and_conflicting_labels_are_warned_of(check, columns):
    a, b = list(columns["a"]), list(columns["b"])
    a[41], b[41] = a[3] * (1 + 1e-8), b[3] * (1 + 2e-7)
    a[8], b[8] = a[7], b[7]
    data = {
        **columns,
        "a": a,
        "b": b,
        "split": ["labelled"] * 30 + ["unlabelled"] * 10 + ["test"] * 20,
    }
    result = check(data, split={"by": "column"})
    found = {warning.name: warning.message for warning in result.warnings}
    assert (
        "(5.0%; tolerated are 0.0%) with the features of a training row to five digits: id "
        in (found["nearly_copied_test_row"])
    )
    assert "id 'r41' equals 'r3'" in found["nearly_copied_test_row"]
    assert (
        "2 rows with the features of a row that has another label: id 'r7' (y) and id 'r8' (z)"
        in found["conflicting_labels"]
    )
